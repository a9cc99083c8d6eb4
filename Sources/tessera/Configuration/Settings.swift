// All settings of a process, read once at start and checked before anything opens.
import AuthService
import ChatService
import Foundation
import Logging
import OpenSSLCrypto
import PasswordHashing
import WebSupport

/// A place to listen.
struct ListenAddress: Sendable {
    let host: String
    let port: Int
}

/// What both services and every command need.
struct Settings: Sendable {
    let reader: SettingsReader
    let auth: ListenAddress
    let chat: ListenAddress
    let metrics: ListenAddress?
    let publicURL: String
    let chatPublicURL: String
    /// Where chat finds auth.
    let authURL: String
    let issuer: String
    let dataDirectory: String
    let authDatabase: DatabaseURL
    let chatDatabase: DatabaseURL
    let trustedProxies: [IPNetwork]
    let corsOrigins: [String]
    let logLevel: Logger.Level
    let logFormat: String?

    init(_ reader: SettingsReader) throws {
        self.reader = reader
        let host = try reader.text(.host) ?? "127.0.0.1"
        auth = ListenAddress(host: host, port: try reader.integer(.authPort, default: 8080, in: 1...65_535))
        chat = ListenAddress(host: host, port: try reader.integer(.chatPort, default: 8081, in: 1...65_535))
        metrics = try Self.metrics(reader)
        publicURL = try reader.origin(.publicURL, default: "http://127.0.0.1:\(auth.port)")
        chatPublicURL = try reader.origin(.chatPublicURL, default: "http://127.0.0.1:\(chat.port)")
        authURL = try reader.text(.authURL).map { try SettingsReader.origin($0, .authURL, allowPlain: true) } ?? publicURL
        issuer = try reader.origin(.issuer, default: publicURL)
        dataDirectory = try reader.text(.dataDirectory) ?? "./tessera-data"
        authDatabase = try DatabaseURL(reader, .authDatabaseURL, service: "auth", dataDirectory: dataDirectory)
        chatDatabase = try DatabaseURL(reader, .chatDatabaseURL, service: "chat", dataDirectory: dataDirectory)
        trustedProxies = try reader.list(.trustedProxies).map { text in
            guard let network = IPNetwork(text) else {
                throw ConfigurationError(.trustedProxies, "must be a list of networks such as 10.0.0.0/8")
            }
            return network
        }
        corsOrigins = try reader.list(.corsOrigins).map { try SettingsReader.origin($0, .corsOrigins, allowPlain: false) }
        let level = try reader.choice(.logLevel, default: "info", of: Logger.Level.allCases.map(\.rawValue))
        logLevel = Logger.Level(rawValue: level) ?? .info
        logFormat = try reader.text(.logFormat) == nil ? nil : reader.choice(.logFormat, default: "text", of: ["text", "json"])
    }

    private static func metrics(_ reader: SettingsReader) throws -> ListenAddress? {
        guard let text = try reader.text(.metricsAddress) else { return nil }
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port), colon != text.startIndex
        else { throw ConfigurationError(.metricsAddress, "must be an address with a port, such as 127.0.0.1:9090") }
        let host = text[..<colon].trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
        return ListenAddress(host: host, port: port)
    }

    /// The ring of the environment; nil when none is set, which only `dev` accepts.
    func masterKeys() throws -> MasterKeyRing? {
        guard let text = try reader.text(.masterKey) else { return nil }
        return try Self.ring(text)
    }

    static func ring(_ text: String) throws -> MasterKeyRing {
        do {
            return try MasterKeyRing(base64Ring: text)
        } catch {
            throw ConfigurationError(
                .masterKey, "must be a comma-separated list of 32-byte keys in base64, no two with the same id"
            )
        }
    }

    func authConfiguration(masterKeys: MasterKeyRing) throws -> AuthConfiguration {
        var configuration = AuthConfiguration(publicURL: publicURL, issuer: issuer, masterKeys: masterKeys)
        let day: Int64 = 86_400
        configuration.audiences = try reader.list(.tokenAudiences, default: configuration.audiences)
        guard configuration.audiences.contains(AuthConfiguration.ownAudience) else {
            throw ConfigurationError(.tokenAudiences, "must contain \(AuthConfiguration.ownAudience)")
        }
        configuration.accessTokenLifetime = try reader.duration(.accessTokenTTL, default: .seconds(600), in: 10...day)
        configuration.refreshGrace = try reader.duration(.refreshGrace, default: .seconds(10), in: 0...60)
        configuration.sessionIdle = try reader.duration(.sessionIdle, default: .seconds(14 * day), in: 60...3650 * day)
        configuration.sessionAbsolute = try reader.duration(
            .sessionAbsolute, default: .seconds(90 * day), in: 60...3650 * day
        )
        configuration.passwordMinimum = try reader.integer(.passwordMinimum, default: 8, in: 4...128)
        configuration.argon2 = try argon2()
        let cores = ProcessInfo.processInfo.activeProcessorCount
        configuration.hashThreads = try reader.integer(.hashThreads, default: cores, in: 1...256)
        configuration.hashQueue = try reader.integer(.hashQueue, default: 64, in: 1...100_000)
        let algorithm = try reader.choice(
            .signingAlgorithm, default: "ES256", of: SigningAlgorithm.allCases.map(\.rawValue)
        )
        configuration.signingAlgorithm = SigningAlgorithm(rawValue: algorithm) ?? .es256
        configuration.keyRotation = try reader.duration(.keyRotation, default: .seconds(30 * day), in: 3600...3650 * day)
        configuration.trustedProxies = trustedProxies
        configuration.corsOrigins = corsOrigins
        configuration.eventRetention = try reader.duration(.eventRetention, default: .seconds(7 * day), in: day...3650 * day)
        configuration.auditRetention = try reader.duration(.auditRetention, default: .seconds(365 * day), in: day...36_500 * day)
        configuration.cleanupInterval = try reader.duration(.cleanupInterval, default: .seconds(600), in: 1...day)
        configuration.rateLimits = try reader.choice(.rateLimits, default: "on", of: ["on", "off"]) == "on"
        return configuration
    }

    private func argon2() throws -> Argon2Parameters {
        let parallelism = try reader.integer(.argon2Parallelism, default: 1, in: 1...16)
        // RFC 9106 §3.1: at least 8 KiB for each lane; PHCString's own bounds cap the rest.
        let parameters = Argon2Parameters(
            memoryKiB: try reader.integer(.argon2Memory, default: 19_456, in: 8 * parallelism...1_048_576),
            iterations: try reader.integer(.argon2Iterations, default: 2, in: 1...20),
            parallelism: parallelism
        )
        do {
            try parameters.validate()
        } catch {
            throw ConfigurationError(.argon2Memory, "with the iterations asks for more than one login may cost")
        }
        return parameters
    }

    func chatConfiguration() throws -> ChatConfiguration {
        ChatConfiguration(
            publicURL: chatPublicURL, issuer: issuer, audience: try reader.text(.chatAudience) ?? "chat",
            trustedProxies: trustedProxies, corsOrigins: corsOrigins
        )
    }
}
