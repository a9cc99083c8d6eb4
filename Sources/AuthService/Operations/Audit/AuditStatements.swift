import ServiceKit
import Storage

enum AuditStatements {
    struct Entry {
        let action: String
        let actor: String?
        let target: String?
        let clientInfo: ClientInfo
        let outcome: String
        let details: AuditDetails
        let now: Instant
    }

    private static let parameters: StatementParameters = [
        "now": .instant, "actor": .text, "action": .text, "target": .text, "address": .text, "agent": .text,
        "outcome": .text, "details": .text,
    ]

    private static func values(entry: Entry) -> StatementValues {
        [
            "now": entry.now, "actor": entry.actor, "action": entry.action, "target": entry.target,
            "address": entry.clientInfo.address.text, "agent": entry.clientInfo.userAgent,
            "outcome": entry.outcome, "details": entry.details.json,
        ]
    }

    private static let append = Statement(
        "audit.append",
        .writes,
        parameters,
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        VALUES (:now, :actor, :action, :target, :address, :agent, :outcome, :details)
        """
    )

    static func append(entry: Entry) -> BoundStatement { append.bind(values(entry: entry)) }

    private static let appendIfUser = Statement(
        "audit.append_if_user",
        .writes,
        parameters,
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, id, :address, :agent, :outcome, :details FROM users WHERE id = :target
        """
    )

    static func appendIfUserExists(entry: Entry) -> BoundStatement { appendIfUser.bind(values(entry: entry)) }

    private static let appendIfChanged = Statement(
        "audit.append_if_changed",
        .writes,
        parameters + ["marker": .instant],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, id, :address, :agent, :outcome, :details FROM users
        WHERE id = :target AND updated_at = :marker
        """
    )

    static func appendIfUserChanged(entry: Entry, marker: Instant) -> BoundStatement {
        appendIfChanged.bind(values(entry: entry) + ["marker": marker])
    }

    private static let appendIfLiving = Statement(
        "audit.append_if_living",
        .writes,
        parameters,
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, id, :address, :agent, :outcome, :details FROM sessions
        WHERE id = :target AND revoked_at IS NULL
        """
    )

    static func appendIfSessionLives(entry: Entry) -> BoundStatement { appendIfLiving.bind(values(entry: entry)) }

    private static let appendIfClient = Statement(
        "audit.append_if_client",
        .writes,
        parameters + ["marker": .instant],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, id, :address, :agent, :outcome, :details FROM clients
        WHERE id = :target AND (:marker IS NULL OR updated_at = :marker)
        """
    )

    /// Without a marker, the client's existence suffices.
    static func appendIfClientChanged(entry: Entry, marker: Instant?) -> BoundStatement {
        appendIfClient.bind(values(entry: entry) + ["marker": marker])
    }

    private static let appendIfKey = Statement(
        "audit.append_if_key",
        .writes,
        parameters + ["state": .text],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, kid, :address, :agent, :outcome, :details FROM signing_keys
        WHERE kid = :target AND state = :state AND (activated_at = :now OR retired_at = :now)
        """
    )

    /// The change and this entry have the same instant.
    static func appendIfSigningKeyChanged(entry: Entry, to state: String) -> BoundStatement {
        appendIfKey.bind(values(entry: entry) + ["state": state])
    }

    private static let appendIfRing = Statement(
        "audit.append_if_ring",
        .writes,
        parameters + ["key_id": .integer, "fingerprint": .text, "changed": .instant],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, :target, :address, :agent, :outcome, :details FROM ring_entries
        WHERE key_id = :key_id AND fingerprint = :fingerprint
            AND (registered_at = :changed OR primary_at = :changed OR withdrawn_at = :changed)
        """
    )

    static func appendIfRingChanged(
        entry: Entry,
        keyID: UInt8,
        fingerprint: String,
        changed: Instant
    ) -> BoundStatement {
        appendIfRing.bind(
            values(entry: entry) + ["key_id": Int64(keyID), "fingerprint": fingerprint, "changed": changed]
        )
    }

    private static let appendIfSetting = Statement(
        "audit.append_if_setting",
        .writes,
        parameters + ["key": .text],
        """
        INSERT INTO audit_log (at, actor, action, target, ip_address, user_agent, outcome, details)
        SELECT :now, :actor, :action, :target, :address, :agent, :outcome, :details FROM settings
        WHERE key = :key AND updated_at = :now
        """
    )

    static func appendIfSettingChanged(entry: Entry, key: String) -> BoundStatement {
        appendIfSetting.bind(values(entry: entry) + ["key": key])
    }

    private static let deleteBefore = Statement(
        "audit.delete_before",
        .writes,
        ["before": .instant, "limit": .integer],
        "DELETE FROM audit_log WHERE seq IN (SELECT seq FROM audit_log WHERE at < :before ORDER BY at LIMIT :limit)"
    )

    static func cleanup(retention: Duration) -> CleanupStep {
        CleanupStep("audit_log") { deleteBefore.bind(["before": $0 - retention, "limit": $1]) }
    }

    static let all = [
        append, appendIfUser, appendIfChanged, appendIfLiving, appendIfClient, appendIfKey, appendIfRing,
        appendIfSetting, deleteBefore,
    ]
}
