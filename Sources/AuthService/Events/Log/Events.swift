import ServiceKit
// The revocation feed's writing end; `EventLog` and `EventFeed` are the reading one.
//
// An event is written in the unit that makes it true, as a statement that inserts nothing when the unit's earlier
// statements changed nothing. All of them are declared to append to one ordered log: on PostgreSQL the engine takes
// the log's advisory lock before the unit's first row lock, so events become visible in the order of `seq` and a
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

/// Statements that append events, for other features to put into their units.
package struct Events: Sendable {
    package static let log = OrderedLog(lockKey: 0x7E55_E7A0_0001, channel: "tessera_events")

    /// `session.revoked`, if the session is one that this unit is about to revoke. Goes *before* the update.
    func sessionWillBeRevoked(_ session: String, at now: Instant) -> BoundStatement {
        EventStatements.sessionRevoked(session, at: now)
    }

    /// An event about a user who exists when the statement runs, with what it sets of name and picture: what services
    /// that show people need, and never the address.
    func about(
        user: String,
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

    /// `user.tokens_revoked` with the user's version as it is now, if that version was set by this unit.
    ///
    /// `marker`: what `users.updated_at` was set to by the unit's own bump.
    /// `exceptSession`: a session whose tokens stay good.
    func userTokensRevoked(user: String, marker: Instant, exceptSession: String?, at now: Instant) -> BoundStatement {
        EventStatements.tokensRevoked(ofUser: user, exceptSession: exceptSession, marker: marker, at: now)
    }

    /// An event about a user whom this unit changed: `marker` is what it set `updated_at` to.
    func changed(_ user: String, _ kind: EventKind, marker: Instant, at now: Instant) -> BoundStatement {
        EventStatements.changed(user: user, kind: kind, marker: marker, at: now)
    }

    /// `all.tokens_revoked` with the global version as it is now.
    func allTokensRevoked(at now: Instant) -> BoundStatement {
        EventStatements.allTokensRevoked(at: now)
    }

    /// `client.tokens_revoked`, if this unit disabled the client: `now` is what it set `disabled_at` to.
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

    /// An event about a signing key that this unit brought into the given state: of two nodes that rotate at once, one
    /// tells. `now` is what the unit set `activated_at` or `retired_at` to.
    func about(key kid: String, state: String, _ kind: EventKind, at now: Instant) -> BoundStatement {
        let data = JSONWriter.object { $0.field("kid", kid) }.string
        return EventStatements.about(key: kid, inState: state, kind: kind, data: data, at: now)
    }
}
