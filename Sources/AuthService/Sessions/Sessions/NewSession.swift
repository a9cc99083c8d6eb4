// What a sign-in hands over to become a session.

/// How a user proved who they are (RFC 8176).
package enum AuthenticationMethod: String, Sendable, Codable {
    case password = "pwd"
}

/// What must still be true when the session's row is inserted: a proof that was good a moment ago may be so no more. The
/// insert tests it, behind the lock of the user's row.
package enum SessionCondition: Sendable, Codable {
    /// The hash that was verified is the user's.
    case passwordIs(hash: String)
}

struct NewSession: Sendable {
    let user: String
    let methods: [AuthenticationMethod]
    let condition: SessionCondition
    let origin: Origin
    /// Present when the session is to be carried by a cookie.
    let cookie: SessionCookie?
}
