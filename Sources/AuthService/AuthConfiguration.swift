package import OpenSSLCrypto
package import PasswordHashing
package import ServiceKit

/// All nodes of a deployment share it, except for the order of the master ring.
package struct AuthConfiguration: Sendable {
    /// The origin that browsers and links use, without a trailing slash.
    package var publicURL: String
    /// `iss` of every token.
    package var issuer: String
    /// `aud` of user tokens. The first is auth's own.
    package var audiences = ["tessera", "chat"]
    package var accessTokenLifetime: Duration = .seconds(600)
    /// How long the previous token still yields the same successor; 0–60 s.
    package var refreshGrace: Duration = .seconds(10)
    package var sessionIdle: Duration = .seconds(14 * 86_400)
    package var sessionAbsolute: Duration = .seconds(90 * 86_400)
    /// Characters.
    package var passwordMinimum = 8
    package var argon2 = Argon2Parameters()
    package var hashThreads = 2
    package var hashQueue = 64
    package var signingAlgorithm = SigningAlgorithm.es256
    package var keyRotation: Duration = .seconds(30 * 86_400)
    package var trustedProxies: [IPNetwork] = []
    package var corsOrigins: [String] = []
    /// Whether pages of this machine may call, at any port: for `tessera dev`.
    package var allowsLoopbackOrigins = false
    package var eventRetention: Duration = .seconds(7 * 86_400)
    /// For tests to shorten.
    package var eventFeed = EventFeedTiming()
    package var auditRetention: Duration = .seconds(365 * 86_400)
    package var cleanupInterval: Duration = .seconds(600)
    /// Whether attempts and requests are limited.
    package var rateLimits = true
    package var requests = RequestLimits()
    /// What the requests of the process may take; shared by its services.
    package var memory = MemoryBudget()
    /// Whether URLs in profiles may be `http`.
    package var allowsHTTPURLs = false
    /// The `User-Agent` whose requests are logged at `debug` instead of `info`, for `tessera dev`.
    package var quietAgent: String?
    package var masterKeys: MasterKeyRing
    /// Names the process among the nodes that `tessera keys ring-status` lists.
    package var nodeName = ""
    /// Settings that are weaker than their defaults, with their values, for the audit log.
    package var weakSettings: [String: String] = [:]

    package init(publicURL: String, issuer: String? = nil, masterKeys: MasterKeyRing) {
        self.publicURL = publicURL
        self.issuer = issuer ?? publicURL
        self.masterKeys = masterKeys
    }

    /// The audience that auth requires of tokens sent to itself.
    package static let ownAudience = "tessera"
    /// `client_id` of logins without a registered client.
    package static let firstPartyClient = "tessera"
}
