import Storage

enum UserStateStatements {
    /// `deactivate` already requires an active user.
    private static let isNotLastAdmin = """
        (role <> 'admin' OR NOT is_active OR \(otherAdmin))
        """

    private static let otherAdmin = """
        EXISTS (
            SELECT 1 FROM users other WHERE other.role = 'admin' AND other.is_active AND other.id <> :id)
        """

    private static let setRole = Statement(
        "users.set_role",
        .writes,
        ["id": .text, "role": .text, "now": .instant],
        """
        UPDATE users SET role = :role, token_version = token_version + 1, updated_at = :now
        WHERE id = :id AND role <> :role
            AND \(isNotLastAdmin)
        """
    )

    /// Affects nothing if the role is the same, or the user is the last active admin.
    static func setRole(of id: String, to role: Role, at now: Instant) -> BoundStatement {
        setRole.bind(["id": id, "role": role.rawValue, "now": now])
    }

    private static let deactivate = Statement(
        "users.deactivate",
        .writes,
        ["id": .text, "now": .instant],
        """
        UPDATE users SET is_active = FALSE, deactivated_at = :now, token_version = token_version + 1, updated_at = :now
        WHERE id = :id AND is_active
            AND (role <> 'admin' OR \(otherAdmin))
        """
    )

    static func deactivate(id: String, at now: Instant) -> BoundStatement { deactivate.bind(["id": id, "now": now]) }

    private static let reactivate = Statement(
        "users.reactivate",
        .writes,
        ["id": .text, "now": .instant],
        """
        UPDATE users SET is_active = TRUE, deactivated_at = NULL, updated_at = :now WHERE id = :id AND NOT is_active
        """
    )

    static func reactivate(id: String, at now: Instant) -> BoundStatement { reactivate.bind(["id": id, "now": now]) }

    private static let delete = Statement(
        "users.delete",
        .writes,
        ["id": .text],
        """
        DELETE FROM users WHERE id = :id
            AND \(isNotLastAdmin)
        RETURNING id
        """
    )

    static func delete(id: String) -> BoundStatement { delete.bind(["id": id]) }

    private static let willBeDeleted = "id = :id AND \(isNotLastAdmin)"
    private static let events = UserDeletionEvents(ifUser: willBeDeleted)
    private static let tokens = DeletedUserTokens(ifUser: willBeDeleted)

    /// Before the row goes, and only if it will go.
    static func deletionEvents(of id: String, at now: Instant) -> [BoundStatement] { events.append(user: id, at: now) }

    /// Before the row goes, and only if it will go.
    static func keepTokens(of id: String, until end: Instant) -> [BoundStatement] { tokens.keep(user: id, until: end) }

    static let all = [setRole, deactivate, reactivate, delete] + events.all + tokens.all
}
