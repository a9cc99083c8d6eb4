// What a way in has to bring: a proof of who signs in. What comes before and after is the same for all; see `SignIn`.
import Storage

/// A way to prove who one is.
protocol SignInMethod: Sendable {
    associatedtype Input: Sendable

    /// What attempts are counted on: the account as the input names it, whether or not it exists.
    func account(of input: Input) -> String

    func prove(_ input: Input, _ context: SignInContext) async throws(SignInError) -> SignInProof
}

/// Who signs in, and what makes that true.
struct SignInProof: Sendable {
    let user: String
    let methods: [AuthenticationMethod]
    /// Use the proof up, after the user's row is locked and before the session's is inserted.
    var before: [BoundStatement] = []
    /// Tested by the insert of the session.
    let condition: SessionCondition
    /// What follows from the proof, after the session's row: they must affect nothing when there is none.
    var after: [BoundStatement] = []
}

/// The request of a sign-in.
struct SignInContext: Sendable {
    let origin: Origin
    /// Whether a cookie is to carry the session, instead of a refresh token.
    let wantsCookie: Bool
}

/// A session that has just begun.
package struct SignedIn: Sendable {
    package let grant: Grant
    /// `Set-Cookie`, when a cookie carries the session.
    let setCookie: String?
}

/// Why there is no session.
package enum SignInError: Error, Sendable {
    /// `user`: for the audit log. The answer names no user, and is the same whether there is one or not.
    case invalidCredentials(user: String?)
    /// Deactivated; only the answer to a good proof says so.
    case userInactive(user: String?)
    /// The session ended in the moment in which it began.
    case ended(SessionRefusal)
    case rateLimited(RateLimited)
    /// Too many passwords are being hashed.
    case overloaded(retryAfterSeconds: Int)
    case fault(any Error)
}
