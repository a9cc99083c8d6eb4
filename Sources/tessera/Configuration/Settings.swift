import AuthService
import ChatService
import Foundation
import Logging
import OpenSSLCrypto
import PasswordHashing
import ServiceKit

struct ListenAddress: Sendable, Hashable, CustomStringConvertible {
    let host: String
    let port: Int

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        guard !host.isEmpty, isBracketed || !host.contains(":") else { return nil }
        self.init(host: isBracketed ? String(host.dropFirst().dropLast()) : String(host), port: port)
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Where this machine reaches a server that listens here.
    var reachable: ListenAddress {
        switch host {
        case "0.0.0.0", "localhost": ListenAddress(host: "127.0.0.1", port: port)
        case "::": ListenAddress(host: "::1", port: port)
        default: self
        }
    }

    /// The default address of `/metrics`; `tessera chat` has another.
    static let metrics = ListenAddress(host: "127.0.0.1", port: 9090)
}

/// Chat's client at auth, and its behaviour while the feed is down.
struct ChatFeedSettings: Sendable, Equatable {
    let clientID: String
    let clientSecret: String
    /// `nil` to continue serving.
    let refuseAfter: Duration?
    /// The same as auth's if both have the same settings.
    let tokenLifetime: Duration
}

/// All settings of a process, read once at start and checked before anything opens.
struct Settings: Sendable {
    let reader: SettingsReader
    let auth: ListenAddress
    let chat: ListenAddress
    let metrics: ListenAddress?
    let publicURL: String
    let chatPublicURL: String
    let authURL: String
    let issuer: String
    let dataDirectory: String
    let databases: DatabaseSettings
    let trustedProxies: [IPNetwork]
    let corsOrigins: [String]
    /// `tessera dev`: pages of this machine may call, unless the public URL is another's.
    var isDevelopment = false
    /// A batch of statements that takes longer is logged.
    let slowSQL: Duration
    let logLevel: Logger.Level
    let logFormat: String?
    let connections: ConnectionLimits
    let requests: RequestLimits
    /// One for both services of a process.
    let memory: MemoryBudget

    init(_ reader: SettingsReader) throws {
        self.reader = reader
        let host = try reader.line(.host)
        auth = ListenAddress(host: host, port: try reader.number(.authPort))
        chat = ListenAddress(host: host, port: try reader.number(.chatPort))
        metrics = try reader.text(.metricsAddress).map { text in
            guard let address = ListenAddress(text) else { throw ConfigurationError(.metricsAddress) }
            return address
        }
        func origin(_ key: ConfigurationKey, else value: String, plain: Bool = false) throws -> String {
            try reader.text(key).map { try Origin.parse($0, key, plain: plain) } ?? value
        }
        publicURL = try origin(.publicURL, else: "http://localhost:\(auth.port)")
        chatPublicURL = try origin(.chatPublicURL, else: "http://localhost:\(chat.port)")
        // Between two servers of one installation, on a private network. On one machine by its address: behind the name
        // another server may listen.
        let nearby = try reader.text(.publicURL) == nil ? "http://\(auth.reachable)" : publicURL
        authURL = try origin(.authURL, else: nearby, plain: true)
        _ = try origin(.issuer, else: "")
        issuer = Origin.withoutSlash(try reader.text(.issuer) ?? reader.text(.publicURL) ?? publicURL)
        dataDirectory = try reader.line(.dataDirectory)
        databases = try DatabaseSettings(reader, dataDirectory: dataDirectory)
        trustedProxies = try reader.list(.trustedProxies).map { text in
            guard let network = IPNetwork(text) else { throw ConfigurationError(.trustedProxies) }
            return network
        }
        corsOrigins = try reader.list(.corsOrigins).map { text in
            // See docs/decisions/0046-origins-and-sites.md.
            if text.contains("*") {
                throw ConfigurationError(.corsOrigins, "must name each origin: * stands for none of their parts")
            }
            return try Origin.parse(text, .corsOrigins, plain: false)
        }
        slowSQL = try reader.shortDuration(.logSlowSQL)
        logLevel = try reader.choice(.logLevel).flatMap(Logger.Level.init(rawValue:)) ?? .info
        logFormat = try reader.choice(.logFormat)
        connections = try ConnectionLimits(reader, trustedProxies: trustedProxies)
        requests = try RequestLimits(reader)
        memory = MemoryBudget(bytes: try reader.size(.memoryBudget))
    }

    /// `nil` if none is set, which only `dev` accepts.
    func masterKeys() throws -> MasterKeyRing? {
        guard let text = try reader.text(.masterKey) else { return nil }
        return try Self.ring(text, .masterKey)
    }

    /// Chat's own ring. What only auth may read is not read here.
    func chatKeys() throws -> MasterKeyRing? {
        try reader.text(.chatKey).map { try Self.ring($0, .chatKey) }
    }

    static func ring(_ text: String, _ key: ConfigurationKey) throws -> MasterKeyRing {
        do {
            return try MasterKeyRing(base64Ring: text)
        } catch {
            throw ConfigurationError(key)
        }
    }

    func authConfiguration(masterKeys: MasterKeyRing) throws -> AuthConfiguration {
        var configuration = AuthConfiguration(publicURL: publicURL, issuer: issuer, masterKeys: masterKeys)
        configuration.audiences = try reader.list(.tokenAudiences)
        guard configuration.audiences.contains(AuthConfiguration.ownAudience) else {
            throw ConfigurationError(.tokenAudiences, "must contain \(AuthConfiguration.ownAudience)")
        }
        configuration.accessTokenLifetime = try reader.duration(.accessTokenTTL)
        configuration.refreshGrace = try reader.duration(.refreshGrace)
        configuration.sessionIdle = try reader.duration(.sessionIdle)
        configuration.sessionAbsolute = try reader.duration(.sessionAbsolute)
        configuration.passwordMinimum = try reader.number(.passwordMinimum)
        configuration.argon2 = try argon2()
        configuration.hashThreads = try reader.number(.hashThreads, else: ProcessInfo.processInfo.activeProcessorCount)
        configuration.hashQueue = try reader.number(.hashQueue)
        configuration.signingAlgorithm =
            try reader.choice(.signingAlgorithm).flatMap(SigningAlgorithm.init(rawValue:)) ?? .es256
        configuration.keyRotation = try reader.duration(.keyRotation)
        configuration.trustedProxies = trustedProxies
        configuration.corsOrigins = corsOrigins
        configuration.allowsLoopbackOrigins = isDevelopment && Origin.isLoopback(origin: publicURL)
        configuration.eventRetention = try reader.duration(.eventRetention)
        // Verifiers read back by a token's lifetime and a little more, and could not start without those events.
        guard configuration.eventRetention >= configuration.accessTokenLifetime + .seconds(600) else {
            let reason = "must be at least ten minutes longer than \(ConfigurationKey.accessTokenTTL.name)"
            throw ConfigurationError(.eventRetention, reason)
        }
        configuration.auditRetention = try reader.duration(.auditRetention)
        configuration.cleanupInterval = try reader.duration(.cleanupInterval)
        configuration.allowsHTTPURLs = try reader.choice(.allowHTTPURLs) == "on"
        configuration.rateLimits = requests.isOn
        configuration.requests = requests
        configuration.memory = memory
        configuration.weakSettings = try weakened(configuration)
        return configuration
    }

    private func argon2() throws -> Argon2Parameters {
        let parameters = Argon2Parameters(
            memoryKiB: try reader.number(.argon2Memory),
            iterations: try reader.number(.argon2Iterations),
            parallelism: try reader.number(.argon2Parallelism)
        )
        // RFC 9106 §3.1: at least 8 KiB for each degree of parallelism.
        guard parameters.memoryKiB >= 8 * parameters.parallelism else {
            throw ConfigurationError(.argon2Memory, "must be at least 8 for each of the threads")
        }
        do {
            try parameters.validate()
        } catch {
            throw ConfigurationError(.argon2Memory, "with the iterations asks for more than one login may cost")
        }
        return parameters
    }

    var authDatabase: DatabaseURL {
        get throws { try databases.url(of: "auth") }
    }
    var chatDatabase: DatabaseURL {
        get throws { try databases.url(of: "chat") }
    }

    /// Whether a setting says that chat follows nothing.
    func isChatAlone() throws -> Bool { try reader.choice(.chatFollow) == "off" }

    /// What `tessera chat` follows: `nil` only where a setting says that it follows nothing.
    func chatFollows() throws -> ChatFeedSettings? {
        switch (try isChatAlone(), try chatFeed()) {
        case (true, nil):
            guard try reader.durationUnlessChoice(.verifierStale) == nil else {
                throw ConfigurationError(.verifierStale, "has no effect with \(ConfigurationKey.chatFollow.name)=off")
            }
            return nil
        case (true, _?):
            throw ConfigurationError(.chatFollow, "is off, and \(ConfigurationKey.chatClientID.name) is set")
        case (_, nil):
            throw ConfigurationError(
                .chatClientID,
                "is required: without it chat learns of no revoked token and of no deleted user "
                    + "(\(ConfigurationKey.chatFollow.name)=off runs it so)"
            )
        case (_, let feed?): return feed
        }
    }

    /// `nil` if chat has no client at auth.
    func chatFeed() throws -> ChatFeedSettings? {
        // Both are read, so that an invalid one is reported whatever else is set.
        let (id, secret) = (try reader.line(.chatClientID), try reader.line(.chatClientSecret))
        _ = try reader.durationUnlessChoice(.verifierStale)
        switch (id.isEmpty, secret.isEmpty) {
        case (true, true): return nil
        case (false, false): return try chatFeed(clientID: id, secret: secret)
        case (true, false):
            throw ConfigurationError(.chatClientID, "is required beside \(ConfigurationKey.chatClientSecret.name)")
        case (false, true):
            throw ConfigurationError(.chatClientSecret, "is required beside \(ConfigurationKey.chatClientID.name)")
        }
    }

    /// The same, for a client that was made for this process.
    func chatFeed(clientID: String, secret: String) throws -> ChatFeedSettings {
        ChatFeedSettings(
            clientID: clientID,
            clientSecret: secret,
            refuseAfter: try reader.durationUnlessChoice(.verifierStale),
            tokenLifetime: try reader.duration(.accessTokenTTL)
        )
    }

    func chatConfiguration() throws -> ChatConfiguration {
        var configuration = ChatConfiguration(
            publicURL: chatPublicURL,
            issuer: issuer,
            audience: try reader.line(.chatAudience),
            trustedProxies: trustedProxies,
            corsOrigins: corsOrigins
        )
        configuration.allowsLoopbackOrigins = isDevelopment && Origin.isLoopback(origin: chatPublicURL)
        configuration.keys = try chatKeys()
        configuration.trashRetention = try reader.duration(.trashRetention)
        for (tier, limit) in try limits(.quotaMessages) { configuration.quotas[tier].messagesPerDay = limit }
        for (tier, limit) in try limits(.quotaTokensPerDay) { configuration.quotas[tier].tokensPerDay = limit }
        for (tier, limit) in try limits(.quotaTokensPerMonth) { configuration.quotas[tier].tokensPerMonth = limit }
        configuration.changeRetention = try reader.duration(.changeRetention)
        configuration.cleanupInterval = try reader.duration(.cleanupInterval)
        configuration.requests = requests
        configuration.memory = memory
        return configuration
    }

    /// Reads `guest=20,user=50`.
    private func limits(_ key: ConfigurationKey) throws -> [Quotas.Tier: Int64] {
        var limits: [Quotas.Tier: Int64] = [:]
        for entry in try reader.list(key) {
            let parts = entry.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let tier = Quotas.Tier(rawValue: String(parts[0])), limits[tier] == nil,
                // Digits only: `Int64` would accept a sign. The limit is far below an overflow of sums.
                parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let limit = Int64(parts[1]),
                limit <= 1_000_000_000_000_000
            else { throw ConfigurationError(key) }
            limits[tier] = limit
        }
        return limits
    }
}
