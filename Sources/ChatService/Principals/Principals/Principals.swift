import ServiceKit
// Who owns rows here: a mirror of auth's users, made from token claims the first time somebody writes.
//
// States: unknown → known → deactivated (told by auth) → erased (for ever, the row stays as a tombstone).
// The mirror holds no email and no credential: chat trusts tokens, and could not log anybody in if it wanted to.
//
// **The principal's row is the lock.** Every unit that writes begins with `willWrite`, which makes the row or locks
// it, and every later statement of the unit requires `PrincipalStatements.mayWrite` of it. Being later statements,
// they see the row as it is under that lock: an erase that ran first is seen, and one that comes second waits. So a
// token that is still alive brings nothing back. It also puts one person's writes in order, which is what makes
// "is this slug free?" an exact question.
import Storage

/// The person behind a request, as the token tells.
package struct Caller: Sendable, Hashable {
    /// The token's `sub`.
    package let id: String
    /// `user` or `guest`.
    package let kind: String
    /// `user`, `premium` or `admin`.
    package let role: String

    package init(id: String, kind: String, role: String = "user") {
        self.id = id
        self.kind = kind
        self.role = role
    }
}

/// Statements about principals, for other features to put into their units.
struct Principals: Sendable {
    /// `last_seen_at` is kept to this precision, so that a busy writer's row is locked but seldom rewritten.
    static let seenPrecision: Duration = .seconds(60)

    /// How many results `willWrite` adds in front of a unit's own.
    static let leadingResults = 2

    /// The beginning of every unit that writes: makes or locks the caller's row, then reads what it allows.
    static func willWrite(_ caller: Caller, at now: Instant) -> [BoundStatement] {
        [
            PrincipalStatements.touch(caller.id, caller.kind, now, now - seenPrecision),
            PrincipalStatements.state(caller.id),
        ]
    }

    /// Throws `user_inactive` when a unit's writes were refused because of who is writing. The results are those of
    /// the whole unit, which began with `willWrite`.
    static func requireActive(_ results: [SQLResult]) throws {
        guard let state = results.dropFirst().first?.first else { throw APIError(.internalError) }
        guard try state.boolean("is_active"), try state.optionalInstant("erased_at") == nil else {
            throw APIError(.userInactive)
        }
    }

    /// Adds to the principal's total the tokens of messages that this unit has inserted past `last_seq`. Goes
    /// before the statement that moves `last_seq`, and adds nothing when they were not inserted.
    static func willSpend(_ tokens: Int64, _ caller: Caller, conversation: String, messages: Int) -> BoundStatement {
        PrincipalStatements.addTokens(caller.id, tokens, conversation, messages)
    }
}
