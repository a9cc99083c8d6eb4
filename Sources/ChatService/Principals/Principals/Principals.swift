// Who owns rows here: a mirror of auth's users, made from token claims the first time somebody writes.
//
// States: unknown → known → deactivated (told by auth) → erased (for ever, the row stays as a tombstone).
// The mirror holds no email and no credential: chat trusts tokens, and could not log anybody in if it wanted to.
//
// **The principal's row is the lock.** Every transaction of a person's writes is a `PrincipalTransaction`, which begins by
// making or locking the row, and every later statement requires `Principals.mayWrite` of it. Being later statements, they
// see the row as it is under that lock: an erase that ran first is seen, and one that comes second waits. So a token that
// is still alive brings nothing back. It also puts one person's writes in order, which makes "is this slug free?" an exact
// question.
import Storage

/// What other areas need of principals: the condition of their writes, and statements for their transactions.
struct Principals: Sendable {
    /// `last_seen_at` is kept to this precision, so that a busy writer's row is locked but seldom rewritten.
    static let seenPrecision: Duration = .seconds(60)

    /// The condition of every write, on the person whose id an SQL expression gives. It is false too in a transaction that
    /// repeats a request which was answered before (see Idempotency.swift).
    static func mayWrite(_ principal: String) -> String { PrincipalStatements.mayWrite(principal) }

    /// Adds tokens to a person's total if this transaction has inserted so many `messages` past the conversation's
    /// `last_seq`. Goes before the statement that moves `last_seq`.
    static func add(tokens: Int64, to principal: String, conversation: String, messages: Int) -> BoundStatement {
        PrincipalStatements.add(tokens: tokens, to: principal, conversation: conversation, messages: messages)
    }

    /// A statement that adds `:tokens` to the total of the person `:owner` where an SQL condition holds.
    static func addingTokens(_ name: String, parameters: StatementParameters, if condition: String) -> Statement {
        PrincipalStatements.addingTokens(name, parameters: parameters, if: condition)
    }

    /// A statement that changes a total by a difference. `difference` is a FROM whose `change` has the person's `owner_id`
    /// and the difference `more_total`. No total falls below zero.
    static func adjustingTokens(_ parameters: StatementParameters, by difference: String) -> Statement {
        PrincipalStatements.adjustingTokens(parameters, by: difference)
    }

    /// Sets the tombstone of an erasure, once; on a deactivated person only where that is asked for.
    static func markErased(_ principal: String, includingInactive: Bool, at now: Instant) -> BoundStatement {
        PrincipalStatements.markErased(principal, includingInactive: includingInactive, at: now)
    }
}
