// Everything that can be set about the chat service, with the defaults of docs/configuration.md.
package import ServiceKit

/// The settings of one chat node.
package struct ChatConfiguration: Sendable {
    /// The origin that browsers see, without a trailing slash.
    package var publicURL: String
    /// `iss` that tokens must carry: the auth service's.
    package var issuer: String
    /// `aud` that tokens must carry.
    package var audience: String
    package var trustedProxies: [IPNetwork]
    package var corsOrigins: [String]
    /// How long a deleted conversation can be brought back.
    package var trashRetention: Duration = .seconds(30 * 86_400)
    /// How often rows that nobody needs any more are removed.
    package var cleanupInterval: Duration = .seconds(600)
    package var quotas = Quotas()
    /// How long the change feed keeps what it told.
    package var changeRetention: Duration = .seconds(7 * 86_400)
    package var changeFeed = ChangeFeedLimits()
    package var exports = ExportLimits()

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
