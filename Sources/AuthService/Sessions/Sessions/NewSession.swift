package enum AuthenticationMethod: String, Sendable, Codable {
    case password = "pwd"
}

/// A condition that the INSERT of the session tests, behind the lock of the user's row. The proof may have become
/// invalid a moment ago.
package enum SessionCondition: Sendable, Codable {
    /// The verified hash is still the user's.
    case passwordIs(hash: String)
}

struct NewSession: Sendable {
    let user: String
    let methods: [AuthenticationMethod]
    let condition: SessionCondition
    /// The one audience of its access tokens; `nil` for all.
    let audience: String?
    let clientInfo: ClientInfo
    /// Set if a cookie carries the session.
    let cookie: SessionCookie?
}
