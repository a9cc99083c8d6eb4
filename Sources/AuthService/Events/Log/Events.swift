import ServiceKit
// The revocation feed's writing end; `EventLog` and `EventFeed` are the reading one.
//
// An event is written in the transaction that makes it true, as a statement that inserts nothing when the earlier
// statements changed nothing. All of them are declared to append to one ordered log: on PostgreSQL the engine takes
// the log's advisory lock before the transaction's first row lock, so events become visible in the order of `seq` and a
// reader with `seq > $after` misses none. No foreign keys: the event of a deletion outlives the row.
package import Storage

/// Kinds of events, as consumers read them.
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

/// Statements that append events, for other features to put into their transactions.
package struct Events: Sendable {
    package static let log = OrderedLog(lockKey: 0x7E55_E7A0_0001, channel: "tessera_events")

    /// `session.revoked`, if the session is one that this transaction is about to revoke. Goes *before* the update.
    func sessionWillBeRevoked(_ session: String, at now: Instant) -> BoundStatement {
        EventStatements.sessionRevoked(session, at: now)
    }

    /// `user.created`, if the transaction has made the user: with what services that show people need, and never the
    /// address.
    func userCreated(_ user: String, name: String?, at now: Instant) -> BoundStatement {
        about(user, .userCreated, name: name.map { .value($0) } ?? .null, avatarURL: .null, at: now)
    }

    /// `user.updated`, if the user exists: with what the transaction sets of name and picture.
    func userUpdated(_ user: String, name: Patch<String>, avatarURL: Patch<String>, at now: Instant) -> BoundStatement {
        about(user, .userUpdated, name: name, avatarURL: avatarURL, at: now)
    }

    private func about(
        _ user: String,
        _ kind: EventKind,
        name: Patch<String>,
        avatarURL: Patch<String>,
        at now: Instant
    ) -> BoundStatement {
        let data = JSONWriter.object { writer in
            writer.field("user_id", user)
            if name.isPresent { writer.field("name", name.value) }
            if avatarURL.isPresent { writer.field("avatar_url", avatarURL.value) }
        }
        return EventStatements.about(user: user, kind: kind, data: data.string, at: now)
    }

    /// `user.tokens_revoked` with the user's version as it is now, if that version was set by this transaction.
    ///
    /// `marker`: what `users.updated_at` was set to by the transaction's own bump.
    /// `exceptSession`: a session whose tokens stay good.
    func userTokensRevoked(user: String, marker: Instant, exceptSession: String?, at now: Instant) -> BoundStatement {
        EventStatements.tokensRevoked(ofUser: user, exceptSession: exceptSession, marker: marker, at: now)
    }

    /// `user.updated` without a profile, if this transaction changed the user: `marker` is what it set `updated_at` to.
    func userRoleChanged(_ user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userUpdated, marker: marker, at: now)
    }

    /// `user.deactivated`, if this transaction changed the user.
    func userDeactivated(_ user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userDeactivated, marker: marker, at: now)
    }

    /// `user.reactivated`, if this transaction changed the user.
    func userReactivated(_ user: String, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: .userReactivated, marker: marker, at: now)
    }

    /// `all.tokens_revoked` with the global version as it is now.
    func allTokensRevoked(at now: Instant) -> BoundStatement {
        EventStatements.allTokensRevoked(at: now)
    }

    /// `client.tokens_revoked`, if this transaction disabled the client: `now` is what it set `disabled_at` to.
    func clientTokensRevoked(_ client: String, ifDisabledAt now: Instant) -> BoundStatement {
        EventStatements.disabled(client: client, data: Self.tokens(of: client, before: now), at: now)
    }

    /// `client.tokens_revoked`, if the client exists. Goes *before* the deletion.
    func clientWillBeDeleted(_ client: String, at now: Instant) -> BoundStatement {
        EventStatements.willBeDeleted(client: client, data: Self.tokens(of: client, before: now), at: now)
    }

    /// Up to which second, itself not included, the tokens are refused that a client has now.
    ///
    /// SECURITY: a token of the client may be from a node whose clock is ahead, by as much as verifiers allow, so tokens
    /// of the next half minute are meant too. A client that is taken back within it waits for the rest.
    static func clientTokensEnd(at now: Instant) -> Int64 { now.seconds + 31 }

    private static func tokens(of client: String, before now: Instant) -> String {
        JSONWriter.object { writer in
            writer.field("client_id", client)
            writer.field("issued_before", clientTokensEnd(at: now))
        }.string
    }

    /// `keys.rotated`, if this transaction made the key the current one: of two nodes that rotate at once, one tells.
    /// `now` is what the transaction set `activated_at` to.
    func keyRotated(_ kid: String, at now: Instant) -> BoundStatement {
        about(key: kid, inState: "current", .keysRotated, at: now)
    }

    /// `keys.revoked`, if this transaction retired the key: `now` is what it set `retired_at` to.
    func keyRevoked(_ kid: String, at now: Instant) -> BoundStatement {
        about(key: kid, inState: "retired", .keysRevoked, at: now)
    }

    private func about(key kid: String, inState state: String, _ kind: EventKind, at now: Instant) -> BoundStatement {
        let data = JSONWriter.object { $0.field("kid", kid) }.string
        return EventStatements.about(key: kid, inState: state, kind: kind, data: data, at: now)
    }
}
