// The owners of rows: a mirror of auth's users, made from token claims at the first write.
//
// States: unknown → known → deactivated (by auth) → erased (final; the row stays as a tombstone). The mirror has no
// email and no credential: chat only trusts tokens.
//
// **The principal's row is the lock.** Every transaction of a person's writes is a `PrincipalTransaction`. It begins by
// making or locking the row, and every later statement requires `Principals.mayWrite` of it. Later statements see the
// row under that lock: an earlier erasure is seen, and a later one waits. So a token that is still valid brings nothing
// back. The lock also serialises one person's writes, which makes "is this slug free?" an exact question.
import Storage

/// For other areas: the condition of their writes, and statements for their transactions.
struct Principals: Sendable {
    /// The precision of `last_seen_at`, so that a busy writer's row is locked but seldom rewritten.
    static let seenPrecision: Duration = .seconds(60)

    /// The condition of every write, on the person with this id (an SQL expression). It is also false in a transaction
    /// that repeats an answered request (see Idempotency.swift).
    static func mayWrite(principal: String) -> String { PrincipalStatements.mayWrite(principal: principal) }

    /// Adds tokens to a person's total if this transaction has inserted so many `messages` above the conversation's
    /// `last_seq`. Goes before the statement that moves `last_seq`.
    static func add(tokens: Int64, to principal: String, conversation: String, messages: Int) -> BoundStatement {
        PrincipalStatements.add(tokens: tokens, to: principal, conversation: conversation, messages: messages)
    }

    /// A statement that adds `:tokens` to the total of `:owner` where an SQL condition holds.
    static func addingTokens(name: String, parameters: StatementParameters, if condition: String) -> Statement {
        PrincipalStatements.addingTokens(name: name, parameters: parameters, if: condition)
    }

    /// A statement that changes totals. `difference` is a FROM whose `change` has the person's `owner_id` and the
    /// difference `more_total`. No total falls below zero.
    static func adjustingTokens(parameters: StatementParameters, by difference: String) -> Statement {
        PrincipalStatements.adjustingTokens(parameters: parameters, by: difference)
    }

    /// Sets the tombstone, once. A deactivated person only on request.
    static func markErased(principal: String, includingInactive: Bool, at now: Instant) -> BoundStatement {
        PrincipalStatements.markErased(id: principal, includingInactive: includingInactive, at: now)
    }
}
