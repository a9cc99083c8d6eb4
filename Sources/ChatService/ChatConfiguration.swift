package import OpenSSLCrypto
package import ServiceKit

/// The settings of a chat node, with the defaults of docs/configuration.md.
package struct ChatConfiguration: Sendable {
    /// The origin that browsers use, without a trailing slash.
    package var publicURL: String
    /// The required `iss` of tokens: the auth service's.
    package var issuer: String
    /// The required `aud` of tokens.
    package var audience: String
    package var trustedProxies: [IPNetwork]
    package var corsOrigins: [String]
    /// Whether pages of this machine may call, at any port: for `tessera dev`.
    package var allowsLoopbackOrigins = false
    package var trashRetention: Duration = .seconds(30 * 86_400)
    package var cleanupInterval: Duration = .seconds(600)
    package var quotas = Quotas()
    package var changeRetention: Duration = .seconds(7 * 86_400)
    package var changeFeed = ChangeFeedLimits()
    package var exports = ExportLimits()
    package var requests = RequestLimits()
    /// What the requests of the process may take; shared by its services.
    package var memory = MemoryBudget()
    /// Chat's own keys, for what it signs or seals. Auth's master ring is unknown here.
    package var keys: MasterKeyRing?

    package init(
        publicURL: String,
        issuer: String,
        audience: String = "chat",
        trustedProxies: [IPNetwork] = [],
        corsOrigins: [String] = []
    ) {
        self.publicURL = publicURL
        self.issuer = issuer
        self.audience = audience
        self.trustedProxies = trustedProxies
        self.corsOrigins = corsOrigins
    }
}
