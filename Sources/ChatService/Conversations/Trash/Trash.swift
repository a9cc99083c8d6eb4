import ServiceKit
// The trash: what a person deleted, for as long as it can still be brought back.
//
// kept → trash → kept, or gone for good: by the owner (`?permanent=true`) or by the cleanup, once it has been there for
// the time that the configuration says.
//
// **A conversation ends in one small write and goes in small pieces.** `trash.end` sets version -1, with which nothing
// finds it any more. What hangs on it is removed afterwards in units of 500 messages at most (see MessageBatch), the row
// last, so that the size of a conversation holds nobody up; if the process dies in between, the cleanup goes on an hour later. A fork or an import
// that is being copied (version 0) is as hard to find, and the cleanup takes away those that were abandoned.
import Storage

struct Trash: Sendable {
    /// Rows of one unit.
    static let batch: Int64 = 500
    /// After which what has ended, or was not finished, is the cleanup's.
    static let abandonedAfter: Duration = .seconds(3600)

    let database: any SQLDatabase
    let clock: Clock
    let conversations: Conversations
    var retention: Duration = .seconds(30 * 86_400)

    // MARK: One conversation

    /// Moves a conversation to the trash. Throws `not_found`, `precondition_failed`, `user_inactive` or `conflict`.
    func put(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws {
        for _ in 0..<Conversations.attempts {
            var expected: Int64?
            if precondition != .none {
                let current = try await conversations.get(id, for: caller)
                try precondition.check(current.version)
                expected = current.version
            }
            let now = clock.now()
            let results = try await database.run(
                Principals.willWrite(caller, at: now)
                    + [
                        TrashStatements.trash(id, caller.id, expected, now),
                        ConversationStatements.isVisible(id, caller.id),
                    ]
            )
            if !results[Principals.leadingResults].isEmpty { return }
            try Principals.requireActive(results)
            if results[Principals.leadingResults + 1].isEmpty { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }

    /// Brings a conversation back; one that is not in the trash stays as it is. Throws `not_found`,
    /// `precondition_failed`, `user_inactive` or `conflict`.
    func restore(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws -> Conversation {
        for _ in 0..<Conversations.attempts {
            let expected = try await expectedVersion(id, precondition, caller)
            let now = clock.now()
            let results = try await database.run(
                Principals.willWrite(caller, at: now)
                    + [
                        TrashStatements.restore(id, caller.id, expected, now, now - retention),
                        ConversationStatements.get(id, caller.id),
                    ]
            )
            try Principals.requireActive(results)
            let row = results[Principals.leadingResults].first ?? results[Principals.leadingResults + 1].first
            if let row { return try Conversation(row, whole: true) }
            if expected == nil { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }

    /// Removes a conversation for good, from the trash or not. Throws as `restore`.
    func remove(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws {
        for _ in 0..<Conversations.attempts {
            let expected = try await expectedVersion(id, precondition, caller)
            let now = clock.now()
            // A conversation of one batch of messages is gone when this unit is.
            let results = try await database.run(
                Principals.willWrite(caller, at: now) + [TrashStatements.end(id, caller.id, expected, now)]
                    + Self.removal(of: id, caller.id)
            )
            if !results[Principals.leadingResults].isEmpty {
                if results[Principals.leadingResults + 2].isEmpty {
                    try await Self.takeApart(id, of: caller.id, in: database)
                }
                return
            }
            try Principals.requireActive(results)
            if expected == nil { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }

    /// The version that a change depends on, of a conversation that is kept or in the trash.
    private func expectedVersion(
        _ id: String,
        _ precondition: VersionPrecondition,
        _ caller: Caller
    ) async throws -> Int64? {
        guard precondition != .none else { return nil }
        guard let row = try await database.run(TrashStatements.version(id, caller.id, clock.now() - retention)).first
        else {
            throw APIError(.notFound)
        }
        let version = try row.integer("version")
        try precondition.check(version)
        return version
    }

    private static func removal(of id: String, _ owner: String) -> [BoundStatement] {
        [TrashStatements.removeMessages(id, owner, batch), TrashStatements.remove(id, owner)]
    }

    /// Removes what has ended.
    static func takeApart(_ id: String, of owner: String, in database: any SQLDatabase) async throws {
        while true {
            let results = try await database.run(
                [PrincipalStatements.lock(owner)] + removal(of: id, owner),
                priority: .long
            )
            // Gone, by this unit or by somebody else's.
            if !results[2].isEmpty || results[1].affected == 0 { return }
        }
    }

    // MARK: All of a person's

    /// What `removeAll` did.
    struct Removed: Sendable {
        var conversations = 0
        var messages = 0
    }

    /// Moves everything to the trash, or removes everything for good, what is in the trash included. Conversations
    /// that are made meanwhile stay. Throws `user_inactive`.
    func removeAll(permanently: Bool, by caller: Caller) async throws -> Removed {
        let start = clock.now()
        var removed = Removed()
        while true {
            let now = clock.now()
            let results = try await database.run(
                Principals.willWrite(caller, at: now) + [TrashStatements.trashSome(caller.id, now, start, Self.batch)],
                priority: .long
            )
            try Principals.requireActive(results)
            let count = results[Principals.leadingResults].affected
            if !permanently { removed.conversations += count }
            if count < Int(Self.batch) { break }
        }
        guard permanently else { return removed }
        return try await end(of: caller.id, before: clock.now())
    }

    /// Ends and removes what an owner has had in the trash since `instant`, and whatever ended before.
    func end(of owner: String, before instant: Instant) async throws -> Removed {
        while true {
            let results = try await database.run(
                [PrincipalStatements.lock(owner), TrashStatements.endSome(owner, instant, Self.batch)],
                priority: .long
            )
            if results[1].affected < Int(Self.batch) { break }
        }
        return try await removeEnded(of: owner, before: instant)
    }

    /// Removes whatever of an owner's ended before `instant`.
    func removeEnded(of owner: String, before instant: Instant) async throws -> Removed {
        var removed = Removed()
        while true {
            let results = try await database.run(
                [
                    PrincipalStatements.lock(owner),
                    TrashStatements.removeSomeMessages(owner, instant, Self.batch),
                    TrashStatements.removeSome(owner, instant, Self.batch),
                ],
                priority: .long
            )
            removed.messages += results[1].affected
            removed.conversations += results[2].affected
            if results[1].affected == 0, results[2].affected < Int(Self.batch) { return removed }
        }
    }

    // MARK: Reading

    /// A page of the trash, the last deleted first.
    func list(for caller: Caller, page: PageRequest) async throws -> Page<Conversation> {
        let isForward = page.direction == .forward
        let statement = isForward ? TrashStatements.older : TrashStatements.newer
        let oldest = clock.now() - retention
        var cursor = page.cursor ?? (isForward ? Cursor.beyondNewest : Cursor(Instant(microseconds: 0), ""))
        // What has been there for too long is the oldest: a page towards it is cut, one away from it begins past it. A
        // condition more would have PostgreSQL take another index and sort.
        if !isForward, cursor.instant <= oldest { cursor = Cursor(oldest, Cursor.beyondNewest.id) }
        var unit = [statement(caller.id, cursor.instant, cursor.id, page.fetchCount)]
        if page.wantsCount { unit.append(TrashStatements.count(caller.id, oldest)) }
        let results = try await database.run(unit)
        let rows = try results[0].rows.map { row in
            var conversation = try Conversation(row, whole: false)
            conversation.deletedAt = try row.instant("deleted_at")
            return conversation
        }
        .filter { $0.deletedAt.map { $0 > oldest } ?? false }
        var answer = Page(fetched: rows, request: page, cursor: \.trashCursor)
        if page.wantsCount { answer.total = try results[1].first?.integer("total") }
        return answer
    }
}
