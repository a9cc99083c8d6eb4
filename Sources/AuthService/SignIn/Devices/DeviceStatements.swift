import ServiceKit
import Storage

enum DeviceStatements {
    private static let find = Statement(
        "devices.find",
        .reads,
        ["id": .text, "user": .text, "now": .instant],
        "SELECT id FROM devices WHERE id = :id AND user_id = :user AND expires_at > :now"
    )

    static func find(device: String, user: String, at now: Instant) -> BoundStatement {
        find.bind(["id": device, "user": user, "now": now])
    }

    private static let renew = Statement(
        "devices.renew",
        .writes,
        ["id": .text, "session": .text, "now": .instant, "end": .instant],
        """
        UPDATE devices SET last_used_at = :now, expires_at = :end
        WHERE id = :id AND expires_at > :now
            AND user_id = (SELECT s.user_id FROM sessions s WHERE s.id = :session)
        """
    )

    static func renew(device: String, session: String, until end: Instant, at now: Instant) -> BoundStatement {
        renew.bind(["id": device, "session": session, "now": now, "end": end])
    }

    private static let insert = Statement(
        "devices.insert",
        .writes,
        ["id": .text, "session": .text, "renewed": .text, "now": .instant, "end": .instant],
        """
        INSERT INTO devices (id, user_id, created_at, last_used_at, expires_at)
        SELECT :id, s.user_id, :now, :now, :end FROM sessions s
        WHERE s.id = :session AND NOT EXISTS (
            SELECT 1 FROM devices d WHERE d.id = :renewed AND d.user_id = s.user_id AND d.last_used_at = :now)
        """
    )

    /// For the user of a session that this transaction has made.
    static func insert(
        device: String,
        session: String,
        unlessRenewed other: String?,
        until end: Instant,
        at now: Instant
    ) -> BoundStatement {
        insert.bind(["id": device, "session": session, "renewed": other, "now": now, "end": end])
    }

    private static let trim = Statement(
        "devices.trim",
        .writes,
        ["user": .text, "keeping": .integer],
        """
        DELETE FROM devices WHERE id IN (
            SELECT d.id FROM devices d WHERE d.user_id = :user
            ORDER BY d.last_used_at DESC, d.id DESC LIMIT 100 OFFSET :keeping)
        """
    )

    static func trim(user: String, keeping count: Int64) -> BoundStatement {
        trim.bind(["user": user, "keeping": count])
    }

    private static let endOfInactive = Statement(
        "devices.end_of_inactive",
        .writes,
        ["user": .text],
        """
        DELETE FROM devices WHERE user_id = :user
            AND EXISTS (SELECT 1 FROM users u WHERE u.id = :user AND NOT u.is_active)
        """
    )

    static func end(inactiveUser user: String) -> BoundStatement { endOfInactive.bind(["user": user]) }

    private static let deleteExpired = Statement(
        "devices.delete_expired",
        .writes,
        ["before": .instant, "limit": .integer],
        """
        DELETE FROM devices WHERE id IN (
            SELECT id FROM devices WHERE expires_at < :before ORDER BY expires_at LIMIT :limit)
        """
    )

    static let cleanup = CleanupStep("devices") { deleteExpired.bind(["before": $0, "limit": $1]) }

    static let all = [find, renew, insert, trim, endOfInactive, deleteExpired]
}
