// The trash: deleted conversations that can still be restored.
//
// kept → trash → kept, or gone for good: by the owner (`?permanent=true`), or by the cleanup after the configured time.
//
// **A conversation ends in one small write and is removed in small pieces.** Once it has ended (see ConversationState),
// no request finds it. Its rows are removed in transactions of at most 500 messages (see MessageBatch), its own row
// last, so that its size delays no other request. If the process dies in between, the cleanup continues an hour later.
// It also removes abandoned forks and imports.
import ServiceKit
import Storage

struct Trash: Sendable {
    static let batchSize: Int64 = 500
    /// After this time the cleanup removes ended and unfinished conversations.
    static let abandonedAfter: Duration = .seconds(3600)

    let database: any SQLDatabase
    let clock: Clock
    let conversations: Conversations
    var retention: Duration = .seconds(30 * 86_400)

    /// Throws `not_found`, `precondition_failed`, `user_inactive` or `conflict`.
    func put(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws {
        try await Optimistic.retry {
            let expected = try await precondition.expectedVersion {
                try await conversations.get(id, for: caller)
            }
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let trashed = transaction.add(
                TrashStatements.trash(id: id, owner: caller.id, expected: expected, at: now)
            )
            let visible = transaction.add(ConversationStatements.isVisible(id: id, owner: caller.id))
            let results = try await database.run(transaction)
            if !results[trashed].isEmpty { return .done(()) }
            if results[visible].isEmpty { throw APIError(.notFound) }
            return .outdated
        }
    }

    /// A conversation that is not in the trash stays unchanged. Throws `not_found`, `precondition_failed`,
    /// `user_inactive` or `conflict`.
    func restore(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws -> Conversation {
        try await Optimistic.retry {
            let expected = try await expectedVersion(id, precondition, caller)
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let restored = transaction.add(
                TrashStatements.restore(
                    id: id,
                    owner: caller.id,
                    expected: expected,
                    since: now - retention,
                    at: now
                )
            )
            let read = transaction.add(ConversationStatements.get(id: id, owner: caller.id))
            let results = try await database.run(transaction)
            let row = results[restored].first ?? results[read].first
            if let row { return .done(try Conversation(row, whole: true)) }
            if expected == nil { throw APIError(.notFound) }
            return .outdated
        }
    }

    /// Deletes a conversation for good, from the trash or not. Throws as `restore`.
    func remove(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws {
        try await Optimistic.retry {
            let expected = try await expectedVersion(id, precondition, caller)
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let ended = transaction.add(TrashStatements.end(id: id, owner: caller.id, expected: expected, at: now))
            // This transaction removes a conversation of one batch entirely.
            transaction.add(TrashRemovalStatements.removeMessages(of: id, owner: caller.id))
            let removed = transaction.add(TrashRemovalStatements.remove(id: id, owner: caller.id))
            let results = try await database.run(transaction)
            if !results[ended].isEmpty {
                if results[removed].isEmpty { try await Self.purge(id, of: caller.id, in: database) }
                return .done(())
            }
            if expected == nil { throw APIError(.notFound) }
            return .outdated
        }
    }

    /// The version of a kept or trashed conversation, for a conditional change.
    private func expectedVersion(
        _ id: String,
        _ precondition: VersionPrecondition,
        _ caller: Caller
    ) async throws -> Int64? {
        try await precondition.expectedVersion {
            let read = TrashStatements.current(id: id, owner: caller.id, since: clock.now() - retention)
            guard let row = try await database.run(read).first else { throw APIError(.notFound) }
            var conversation = try Conversation(row, whole: true)
            conversation.deletedAt = try row.optionalInstant("deleted_at")
            return conversation
        }
    }

    static func purge(_ id: String, of owner: String, in database: any SQLDatabase) async throws {
        while true {
            var transaction = Transaction(behind: owner)
            let messages = transaction.add(TrashRemovalStatements.removeMessages(of: id, owner: owner))
            let removed = transaction.add(TrashRemovalStatements.remove(id: id, owner: owner))
            let results = try await database.run(transaction, priority: .long)
            // Removed by this transaction or by another.
            if !results[removed].isEmpty || results[messages].affected == 0 { return }
        }
    }

    /// Ends and removes the owner's trash from before `instant`, and whatever ended before.
    func end(of owner: String, before instant: Instant) async throws -> Removed {
        while true {
            var transaction = Transaction(behind: owner)
            let ended = transaction.add(TrashStatements.endSome(of: owner, trashedUntil: instant))
            if try await database.run(transaction, priority: .long)[ended].affected < Int(Self.batchSize) { break }
        }
        return try await removeEnded(of: owner, before: instant)
    }

    /// Removes the owner's conversations that ended before `instant`.
    func removeEnded(of owner: String, before instant: Instant) async throws -> Removed {
        var removed = Removed()
        while true {
            var transaction = Transaction(behind: owner)
            let messages = transaction.add(
                TrashRemovalStatements.removeSomeMessages(of: owner, endedUntil: instant)
            )
            let conversations = transaction.add(
                TrashRemovalStatements.removeSome(of: owner, endedUntil: instant)
            )
            let results = try await database.run(transaction, priority: .long)
            removed.messages += results[messages].affected
            removed.conversations += results[conversations].affected
            if results[messages].affected == 0, results[conversations].affected < Int(Self.batchSize) { return removed }
        }
    }

    func list(for caller: Caller, page: PageRequest) async throws -> Page<Conversation> {
        let isForward = page.direction == .forward
        let oldest = clock.now() - retention
        var cursor = page.cursor ?? (isForward ? Cursor.beyondNewest : Cursor(Instant(microseconds: 0), ""))
        // Expired rows are the oldest: a page towards them is cut, one away from them begins past them. With a further
        // condition PostgreSQL would take another index and sort.
        if !isForward, cursor.instant <= oldest { cursor = Cursor(oldest, Cursor.beyondNewest.id) }
        var transaction = Transaction()
        let found = transaction.add(
            TrashStatements.page(of: caller.id, direction: page.direction, from: cursor, limit: page.fetchCount)
        )
        let total = page.wantsCount ? transaction.add(TrashStatements.count(of: caller.id, since: oldest)) : nil
        let results = try await database.run(transaction)
        let rows = try results[found].rows.map { row in
            var conversation = try Conversation(row, whole: false)
            conversation.deletedAt = try row.instant("deleted_at")
            return conversation
        }
        .filter { $0.deletedAt.map { $0 > oldest } ?? false }
        var answer = Page(fetched: rows, request: page, cursor: \.trashCursor)
        if let total { answer.total = try results[total].first?.integer("total") }
        return answer
    }
}
