// The write side of the revocation feed; `EventLog` and `EventFeed` read it.
//
// An event is written in the transaction that makes it true, and only if the earlier statements changed something. All
// appends declare one ordered log: PostgreSQL takes its advisory lock before the transaction's first row lock. So
// events become visible in the order of `seq`, and a reader with `seq > $after` misses none. There are no foreign keys,
// because the event of a deletion outlives the row.
import ServiceKit
package import Storage

package enum EventKind: String, Sendable, CaseIterable {
    case sessionRevoked = "session.revoked"
    case userTokensRevoked = "user.tokens_revoked"
    case allTokensRevoked = "all.tokens_revoked"
    case userCreated = "user.created"
    case userUpdated = "user.updated"
    case userDeactivated = "user.deactivated"
    case userReactivated = "user.reactivated"
    case userDeleted = "user.deleted"
    case keysRotated = "keys.rotated"
    case keysRevoked = "keys.revoked"
    case clientTokensRevoked = "client.tokens_revoked"
}

/// Statements that append events to other features' transactions.
package struct Events: Sendable {
    package static let log = OrderedLog(lockKey: 0x7E55_E7A0_0001, channel: "tessera_events")

    /// `session.revoked`, if the session is live. Comes *before* the update.
    func sessionWillBeRevoked(session: String, at now: Instant) -> BoundStatement {
        EventStatements.sessionRevoked(session: session, at: now)
    }

    /// `user.created`, if the transaction has made the user. It has the name, never the address.
    func userCreated(user: String, name: RequestText?, at now: Instant) -> BoundStatement {
        about(user: user, kind: .userCreated, name: name.map { .value($0) } ?? .null, avatarURL: .null, at: now)
    }

    /// `user.updated`, if the user exists, with the new name and picture.
    func userUpdated(
        user: String,
        name: Patch<RequestText>,
        avatarURL: Patch<RequestText>,
        at now: Instant
    ) -> BoundStatement {
        about(user: user, kind: .userUpdated, name: name, avatarURL: avatarURL, at: now)
    }

    private func about(
        user: String,
        kind: EventKind,
        name: Patch<RequestText>,
        avatarURL: Patch<RequestText>,
        at now: Instant
    ) -> BoundStatement {
        let data = JSONWriter.object { writer in
            writer.field("user_id", user)
            if name.isPresent { writer.field("name", name.value) }
            if avatarURL.isPresent { writer.field("avatar_url", avatarURL.value) }
        }
        return EventStatements.about(user: user, kind: kind, data: data.string, at: now)
    }

    /// `user.tokens_revoked` with the user's current version, if this transaction has set that version.
    ///
    /// - `marker`: the value that the transaction wrote to `users.updated_at`.
    /// - `exceptSession`: a session whose tokens stay valid.
    func userTokensRevoked(user: String, marker: Instant, exceptSession: String?, at now: Instant) -> BoundStatement {
        EventStatements.tokensRevoked(ofUser: user, exceptSession: exceptSession, marker: marker, at: now)
    }

    /// `user.updated` without a profile, if this transaction set `updated_at` to `marker`.
    func userRoleChanged(user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userUpdated, marker: marker, at: now)
    }

    func userDeactivated(user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userDeactivated, marker: marker, at: now)
    }

    func userReactivated(user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userReactivated, marker: marker, at: now)
    }

    /// With the current global version.
    func allTokensRevoked(at now: Instant) -> BoundStatement {
        EventStatements.allTokensRevoked(at: now)
    }

    /// The client's tokens from before a second, if this transaction set its `updated_at` to `marker`.
    func clientTokensRevoked(
        client: String,
        before second: Int64,
        ifChangedAt marker: Instant,
        at now: Instant
    ) -> BoundStatement {
        let data = JSONWriter.object { writer in
            writer.field("client_id", client)
            writer.field("issued_before", second)
        }
        return EventStatements.changed(client: client, data: data.string, marker: marker, at: now)
    }

    /// The client's current tokens are refused before this second, which is later than that of its last such change.
    ///
    /// SECURITY: a node's clock may be ahead, by as much as verifiers allow, so tokens that are dated in the next half
    /// minute are included. New ones are dated at the end of it at the earliest (`AccessTokens`).
    static func clientTokensEnd(at now: Instant, after last: Int64?) -> Int64 {
        max(now.seconds + 31, (last ?? .min) + (last == nil ? 0 : 1))
    }

    /// If this transaction set `activated_at` to `now`: of two concurrent rotations only one writes an event.
    func keyRotated(kid: String, at now: Instant) -> BoundStatement {
        about(key: kid, inState: "current", kind: .keysRotated, at: now)
    }

    /// If this transaction set `retired_at` to `now`.
    func keyRevoked(kid: String, at now: Instant) -> BoundStatement {
        about(key: kid, inState: "retired", kind: .keysRevoked, at: now)
    }

    private func about(key kid: String, inState state: String, kind: EventKind, at now: Instant) -> BoundStatement {
        let data = JSONWriter.object { $0.field("kid", kid) }.string
        return EventStatements.about(key: kid, inState: state, kind: kind, data: data, at: now)
    }
}
