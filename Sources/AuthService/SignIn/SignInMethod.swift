// A method provides a proof of the user. `SignIn` does the rest.
import Storage

protocol SignInMethod: Sendable {
    associatedtype Input: Sendable

    /// Attempts count for this account: as the input names it, whether or not it exists.
    func account(of input: Input) -> String

    func prove(_ input: Input, _ context: SignInContext) async throws(SignInError) -> SignInProof
}

struct SignInProof: Sendable {
    let user: String
    let methods: [AuthenticationMethod]
    /// Use the proof up, between the lock of the user's row and the session's INSERT.
    var before: [BoundStatement] = []
    /// Tested by the session's INSERT.
    let condition: SessionCondition
    /// The one audience that the request asked for; `nil` for all.
    var audience: String?
    /// Consequences of the proof, after the session's row. Without that row they must affect nothing.
    var after: [BoundStatement] = []
}

struct SignInContext: Sendable {
    let clientInfo: ClientInfo
    /// Whether a cookie carries the session, instead of a refresh token.
    let wantsCookie: Bool
}

package struct SignedIn: Sendable {
    package let response: TokenResponse
    let setCookie: String?
}

package enum SignInError: Error, Sendable {
    /// `user`: for the audit log. The answer names no user, and is the same for an unknown one.
    case invalidCredentials(user: String?)
    /// Deactivated; only the answer to a good proof says so.
    case userInactive(user: String?)
    /// The session ended at once.
    case ended(SessionRefusal)
    case rateLimited(RateLimited)
    case overloaded(retryAfterSeconds: Int)
    case fault(any Error)
}
