// Users whose key an earlier program made: it took a domain in Unicode and the same one in punycode for two.
//
// A walk over the users, in the order in which they came, gives each the key that its address has today. Its place is a
// row, moved in the transaction of the effect, so that it survives the process and may be walked by several nodes at
// once. It never ends for good: a node of the earlier program may make a user while both run, and the next walk finds
// it.
//
// Where two users meet, both keep what they have: the row of the one that was to move is in `email_key_conflicts`, and
// each is still found by the address as it was typed. Every walk tries those again, since the other user may be gone.
//
// A walk begins a while after the first start of this program: nodes of the earlier one that still serve look for the
// keys that they know.
import ServiceKit
package import Storage

package struct EmailKeys: Sendable {
    let database: any SQLDatabase
    let clock: Clock

    /// Users of one transaction.
    static let batch: Int64 = 500
    /// How long nodes of the earlier program may serve beside this one.
    static let delay: Duration = .seconds(600)
    /// How far behind a row's time it may be committed, on a clock that is behind.
    private static let overlap: Duration = .seconds(3600)
    private static let maxAttempts = 8

    package struct Report: Sendable, Equatable {
        package var changed = 0
        package var conflicts = 0
    }

    /// A user who kept a key that is another address's today.
    package struct Conflict: Sendable {
        package let userID: String
        package let email: String
        package let createdAt: Instant
        /// The user who has the key; gone where it is `nil`.
        package let holder: (id: String, email: String, createdAt: Instant)?
    }

    /// Walks on to the last user, or as far as `mayGoOn` allows. `isForced` says that the earlier program serves no
    /// more.
    @discardableResult
    package func run(
        isForced: Bool = false,
        while mayGoOn: @Sendable () async throws -> Bool = { true }
    ) async throws -> Report {
        var report = Report()
        let now = clock.now()
        guard let row = try await database.run(EmailKeyStatements.state()).first else {
            _ = try await database.run(EmailKeyStatements.begin(at: Self.text(.oldest), now: now))
            return isForced ? try await run(isForced: true, while: mayGoOn) : report
        }
        guard try isForced || row.instant("updated_at") + Self.delay <= now else { return report }
        report.changed += try await retryConflicts()
        var place = try row.text("text_value")
        while try await mayGoOn() {
            let start = Self.cursor(place)
            let users = try await database.run(EmailKeyStatements.page(after: start, limit: Self.batch)).rows
            let end = try users.last.map { Cursor(try $0.instant("created_at"), try $0.text("id")) } ?? start
            let isLast = users.count < Int(Self.batch)
            // The next walk looks again at what may have been committed late.
            let next = Self.text(isLast ? Self.earlier(end, now - Self.overlap) : end)
            guard try await rekey(users, from: place, to: next, &report), !isLast else { break }
            place = next
        }
        return report
    }

    /// Those who kept their key, in the order of their ids.
    package func conflicts() async throws -> [Conflict] {
        var found: [Conflict] = []
        while true {
            let rows = try await database.run(
                EmailKeyStatements.conflicts(after: found.last?.userID ?? "", limit: Self.batch)
            ).rows
            for row in rows {
                let holder = try row.optionalText("holder_id").map { id in
                    (id: id, email: try row.text("holder_email"), createdAt: try row.instant("holder_created_at"))
                }
                found.append(
                    Conflict(
                        userID: try row.text("user_id"),
                        email: try row.text("email"),
                        createdAt: try row.instant("created_at"),
                        holder: holder
                    )
                )
            }
            if rows.count < Int(Self.batch) { return found }
        }
    }

    // MARK: One transaction

    /// - Returns: whether the walk went on from `place`; not where another node walks too.
    private func rekey(_ users: [Row], from place: String, to next: String, _ report: inout Report) async throws -> Bool
    {
        let changes = try users.compactMap { row -> (user: String, old: String, new: String)? in
            guard let address = try row.optionalText("email"), let old = try row.optionalText("email_key"),
                let email = Email(address), email.key != old
            else { return nil }
            return (try row.text("id"), old, email.key)
        }
        let (effect, isFirst) = try await change(changes, EmailKeyStatements.advance(from: place, to: next))
        report.changed += effect.changed
        report.conflicts += effect.conflicts
        return isFirst
    }

    /// - Returns: how many are over.
    private func retryConflicts() async throws -> Int {
        var (after, changed) = ("", 0)
        while true {
            let rows = try await database.run(EmailKeyStatements.conflicts(after: after, limit: Self.batch)).rows
            guard let last = rows.last else { return changed }
            after = try last.text("user_id")
            let changes = try rows.map { row in
                (user: try row.text("user_id"), old: try row.text("email_key"), new: try row.text("wanted_key"))
            }
            changed += try await change(changes, nil).effect.changed
        }
    }

    /// Gives users their keys in one transaction, and moves the place in it.
    ///
    /// - Returns: what became of them, and whether the place was moved.
    private func change(
        _ changes: [(user: String, old: String, new: String)],
        _ advance: BoundStatement?
    ) async throws -> (effect: Report, isMoved: Bool) {
        var attempts = 1
        while true {
            var transaction = Transaction()
            let steps = changes.map { change in
                let rekeyed = transaction.add(
                    EmailKeyStatements.rekey(user: change.user, from: change.old, to: change.new)
                )
                let kept = transaction.add(
                    EmailKeyStatements.recordConflict(user: change.user, from: change.old, to: change.new)
                )
                transaction.add(EmailKeyStatements.clearConflict(user: change.user, to: change.new))
                return (rekeyed: rekeyed, kept: kept)
            }
            let moved = advance.map { transaction.add($0) }
            let results: TransactionResults
            do throws(StorageError) {
                results = try await database.run(transaction, priority: .long)
            } catch {
                // A user of that key was made in between: found by the next attempt.
                guard case .uniqueViolation = error, attempts < Self.maxAttempts else { throw error }
                attempts += 1
                continue
            }
            let effect = Report(
                changed: steps.count { results[$0.rekeyed].affected == 1 },
                conflicts: steps.count { results[$0.kept].affected == 1 }
            )
            return (effect, moved.map { results[$0].affected == 1 } ?? false)
        }
    }

    // MARK: The place

    private static func text(_ cursor: Cursor) -> String { "\(cursor.position) \(cursor.id)" }

    private static func cursor(_ text: String) -> Cursor {
        let parts = RequestText(text).pieces(between: " ", omittingEmpty: false)
        guard parts.count == 2, let position = Int64(parts[0].verbatim) else { return .oldest }
        return Cursor(position: position, id: parts[1].verbatim)
    }

    private static func earlier(_ cursor: Cursor, _ instant: Instant) -> Cursor {
        cursor.instant < instant ? cursor : Cursor(instant, "")
    }
}

extension Cursor {
    /// Sorts before every row.
    fileprivate static let oldest = Cursor(.distantPast, "")
}
