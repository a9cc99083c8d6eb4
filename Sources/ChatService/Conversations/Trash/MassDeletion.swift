// Deleting many of a person's conversations at once.
//
// A request says which: all of them, or those that a tag, their archive or their last change chooses. They are found in
// the order of an index and changed in transactions of a batch, so that others get their turn in between.
import ServiceKit
import Storage

extension Trash {
    /// Which of a person's conversations go. Every condition that is there must hold.
    struct Choice: Sendable, Equatable {
        var tag: TagName?
        var archived: Bool?
        /// Last changed before this.
        var before: Instant?

        static let all = Choice()
    }

    /// What a mass deletion did.
    struct Removed: Sendable {
        var conversations = 0
        var messages = 0
    }

    /// Moves the chosen conversations to the trash, or removes them for good, those in the trash included.
    /// Conversations that are made meanwhile stay. Throws `user_inactive`, and `validation_failed` for what is to go
    /// for good by a tag that the person does not have: it is a mistake, and could not be undone.
    func removeAll(_ choice: Choice, permanently: Bool, by caller: Caller) async throws -> Removed {
        if permanently, let tag = choice.tag,
            try await database.run(TagStatements.find(name: tag, owner: caller.id)).isEmpty
        {
            throw APIError.field("tag", "invalid", "is no tag of yours; nothing was removed")
        }
        let chosen = MassDeletionStatements.Chosen(
            owner: caller.id,
            choice: choice,
            madeUntil: try await newest(of: caller)
        )
        guard permanently else {
            return Removed(conversations: try await change(.live, to: .trashed, chosen, by: caller))
        }
        let live = try await change(.live, to: .ended, chosen, by: caller)
        let trashed = try await change(.inTrash, to: .ended, chosen, by: caller)
        let removed = try await removeEnded(of: caller.id, before: clock.now())
        return Removed(conversations: live + trashed, messages: removed.messages)
    }

    /// Now, or the date of the newest conversation: one that was imported, or made where a clock was ahead, may be
    /// dated in the future, and is one of all.
    private func newest(of caller: Caller) async throws -> Instant {
        let now = clock.now()
        var transaction = PrincipalTransaction(by: caller, at: now)
        let newest = transaction.add(MassDeletionStatements.newest(of: caller.id))
        let results = try await database.run(transaction, priority: .long)
        return max(now, try results[newest].first?.optionalInstant("newest") ?? now)
    }

    private func change(
        _ part: MassDeletionStatements.Part,
        to state: MassDeletionStatements.Target,
        _ chosen: MassDeletionStatements.Chosen,
        by caller: Caller
    ) async throws -> Int {
        var count = 0
        var place = Cursor(.distantPast, "")
        while true {
            let batch = MassDeletionStatements.batch(of: part, chosen: chosen, after: place)
            let rows = try await database.run(batch, priority: .long).rows
            guard let last = rows.last else { return count }
            let end = Cursor(try last.instant("place"), try last.text("id"))
            let now = clock.now()
            var transaction = PrincipalTransaction(by: caller, at: now)
            let changed = transaction.add(
                MassDeletionStatements.change(
                    part: part,
                    to: state,
                    chosen: chosen,
                    after: place,
                    through: end,
                    at: now
                )
            )
            count += try await database.run(transaction, priority: .long)[changed].affected
            guard rows.count == Int(Self.batchSize) else { return count }
            place = end
        }
    }
}
