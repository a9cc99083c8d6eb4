// Rows about the deployment itself: its keys and settings.
import OpenSSLCrypto
import ServiceKit
import Storage

extension Audit {
    /// Written only if this transaction has brought the signing key into this state, at `now`.
    func entry(
        action: String,
        actor: String?,
        ifSigningKey kid: String,
        becomes state: String,
        from clientInfo: ClientInfo,
        details: AuditDetails,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfSigningKeyChanged(
            entry: Self.entry(action, actor, kid, clientInfo, details, now),
            to: state
        )
    }

    /// Written only if this transaction has registered or withdrawn the entry of the master ring, or made it the
    /// primary one, at `changed`.
    func entry(
        action: String,
        actor: String? = nil,
        ifRingEntry keyID: UInt8,
        fingerprint: String,
        changedAt changed: Instant,
        from clientInfo: ClientInfo,
        details: AuditDetails,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfRingChanged(
            entry: Self.entry(action, actor, Hex.encode([keyID]), clientInfo, details, now),
            keyID: keyID,
            fingerprint: fingerprint,
            changed: changed
        )
    }

    /// Written only if this transaction has changed the row of `settings` at `now`.
    func entry(
        action: String,
        ifSetting key: String,
        from clientInfo: ClientInfo,
        details: AuditDetails,
        at now: Instant
    ) -> BoundStatement {
        AuditStatements.appendIfSettingChanged(
            entry: Self.entry(action, nil, nil, clientInfo, details, now),
            key: key
        )
    }

    private static func entry(
        _ action: String,
        _ actor: String?,
        _ target: String?,
        _ clientInfo: ClientInfo,
        _ details: AuditDetails,
        _ now: Instant
    ) -> AuditStatements.Entry {
        AuditStatements.Entry(
            action: action,
            actor: actor,
            target: target,
            clientInfo: clientInfo,
            outcome: "success",
            details: details,
            now: now
        )
    }
}
