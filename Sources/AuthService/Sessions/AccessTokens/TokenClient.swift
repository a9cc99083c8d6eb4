// The client that a user's access token is made for, and the audience that it asked for (decision 0043).
//
// A session that was opened for one audience never gets a token for another. A refresh may narrow, for its own token
// alone.
import ServiceKit
import Storage

package struct TokenClient: Sendable {
    package let id: String
    /// No token of the client is dated before this: verifiers refuse it.
    let tokensValidFrom: Instant?
    /// One of the audiences; `nil` for all that the session may have.
    let audience: String?

    init(id: String, tokensValidFrom: Instant? = nil, audience: String? = nil) {
        self.id = id
        self.tokensValidFrom = tokensValidFrom
        self.audience = audience
    }

    package static let firstParty = firstParty(audience: nil)

    static func firstParty(audience: String?) -> TokenClient {
        TokenClient(id: AuthConfiguration.firstPartyClient, audience: audience)
    }
}

/// The audiences that user tokens may have.
struct TokenAudiences: Sendable {
    let all: [String]

    static let field = "audience"

    /// `nil` for a name that is none of them.
    func known(_ name: RequestText) -> String? { all.first { RequestText($0) == name } }

    /// What a request names; `nil` if it names none or has an error.
    func read(from body: inout JSONBody) -> String? {
        guard let name = body.text(Self.field) else { return nil }
        if let audience = known(name) { return audience }
        body.addError(Self.field, "invalid", "must be one of \(all.joined(separator: ", "))")
        return nil
    }
}
