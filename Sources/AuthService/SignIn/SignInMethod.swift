// A method provides a proof of the user. `SignIn` does the rest.
import ServiceKit
import Storage

protocol SignInMethod: Sendable {
    associatedtype Input: Sendable

    /// Attempts count for this account: as the input names it, whether or not it exists.
    func account(of input: Input) -> String

    /// The user of that account; `nil` where there is none. Asked only while a delay runs.
    func user(of input: Input) async throws(SignInError) -> String?

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
    /// The marker of the device that the request's cookie carries, not verified.
    let device: RequestText?
}

/// What a method needs, and the device's marker where no cookie carries it.
struct SignInRequest<Input: Sendable>: Sendable {
    let input: Input
    let device: RequestText?
}

package struct SignedIn: Sendable {
    package let response: TokenResponse
    /// Of the session and of the device, if cookies carry them.
    let setCookies: [String]
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

    /// Whether the proof was not judged, or its judgement got lost: the attempt is no guess.
    var isUndecided: Bool {
        switch self {
        case .overloaded, .fault: true
        case .invalidCredentials, .userInactive, .ended, .rateLimited: false
        }
    }
}
