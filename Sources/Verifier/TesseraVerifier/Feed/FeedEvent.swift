// Converts an event of the feed to a revocation. A revoking event that cannot be understood is an error, because it
// leaves a gap. Events of other kinds are ignored.

extension Revocation {
    package struct NotUnderstood: Error {
        let kind: String
    }

    /// The kinds that a verifier subscribes to.
    static let kinds = [
        "session.revoked", "user.tokens_revoked", "user.deleted", "user.deactivated", "user.reactivated",
        "all.tokens_revoked", "client.tokens_revoked", "keys.revoked",
    ]

    /// `nil` if the event revokes nothing.
    ///
    /// - Parameters:
    ///   - kind: of the event.
    ///   - json: the event, with `data`.
    /// - Throws: `NotUnderstood`.
    init?(kind: String, json: [UInt8]) throws {
        guard Self.kinds.contains(kind) else { return nil }
        guard let data = JSONFields(json, member: "data") else { throw NotUnderstood(kind: kind) }
        try self.init(kind: kind, fields: data)
    }

    /// The same, for an event in the issuer's own process.
    ///
    /// - Parameters:
    ///   - kind: of the event.
    ///   - data: the JSON of the event's `data`.
    /// - Throws: `NotUnderstood`.
    package init?(kind: String, data: [UInt8]) throws {
        guard Self.kinds.contains(kind) else { return nil }
        guard let data = JSONFields(data) else { throw NotUnderstood(kind: kind) }
        try self.init(kind: kind, fields: data)
    }

    private init(kind: String, fields data: JSONFields) throws {
        func text(_ name: String) throws -> String {
            guard case .text(let text)? = data[name], !text.isEmpty else { throw NotUnderstood(kind: kind) }
            return text
        }
        func integer(_ name: String) throws -> Int64 {
            guard case .integer(let value)? = data[name] else { throw NotUnderstood(kind: kind) }
            return value
        }
        switch kind {
        case "session.revoked":
            self = .session(try text("sid"))
        case "user.tokens_revoked":
            let exception: String? =
                switch data["except_sid"] {
                case nil, .null?: nil
                default: try text("except_sid")
                }
            self = .user(try text("user_id"), minimumVersion: try integer("min_ver"), exceptSession: exception)
        case "user.deleted", "user.deactivated":
            self = .inactiveUser(try text("user_id"))
        case "user.reactivated":
            self = .activeUser(try text("user_id"))
        case "all.tokens_revoked":
            self = .everybody(minimumVersion: try integer("min_gver"))
        case "client.tokens_revoked":
            self = .client(try text("client_id"), issuedBefore: try integer("issued_before"))
        default:
            self = .key(try text("kid"))
        }
    }
}
