// A conversation belongs to one principal. For all others it does not exist.
//
// States: kept → archived (with a reason; still listed, with a filter) → kept …; and from either → trash
// (`deleted_at`), where only a restore finds it. Its slug is free then.
//
// `version` counts changes of the row's own fields and is its ETag. Appends move counters and `updated_at`, not the
// version, so that a chat in progress does not break an editor's `If-Match`. An automatic title is such a change. A
// title that a person set or removed is never replaced.
import ServiceKit
import Storage

struct Conversations: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let quotas: Quotas

    typealias Made = (conversation: Conversation, messages: [Message])

    /// Makes a conversation with its first messages, or nothing. One that the same request made is answered again
    /// (RepeatedCreation.swift). Throws `id_taken`, `slug_taken`, `user_inactive`,
    /// `quota_exceeded`, `idempotency_key_reused`, or an error about a message. `attempt`: the request's key. `read`
    /// reads the request, with ids for messages without one.
    func create(
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil,
        _ read: (_ identify: () -> String) throws -> ConversationDraft
    ) async throws -> Outcome<Made> {
        let now = attempt?.identity.at ?? clock.now()
        let identity = attempt?.identity ?? AttemptIdentity(seed: ids.name(bytes: 16), at: now)
        let draft = try read(identity.childIDs)
        let id = draft.id ?? identity.ownID
        let append = MessageAppend(to: id, by: caller, draft.messages, isNew: true, at: now, quotas: quotas)
        var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
        let inserted = transaction.add(
            ConversationStatements.insert(draft: draft, id: id, owner: caller.id, isComplete: append == nil, at: now)
        )
        let steps = append?.addSteps(to: &transaction)
        let results = try await database.run(transaction)
        guard let row = results[inserted].first else {
            if let record = results.earlier {
                return Outcome(value: try Self.remake(record, caller, read), isReplay: true)
            }
            if draft.id != nil, let stored = try await stored(draft, id: id, by: caller) {
                return Outcome(value: stored, isReplay: false, wasThere: true)
            }
            throw try await refusal(id: id, slug: draft.slug, caller)
        }
        guard let append, let steps else {
            return Outcome(value: (try Conversation(row, whole: true), []), isReplay: false)
        }
        switch try append.outcome(of: steps, results) {
        case .appended(let conversation, let messages):
            return Outcome(value: (conversation, messages), isReplay: false)
        case .refused(let message): throw try await MessageAppend.refusal(of: message, in: database)
        case .overQuota: throw try await QuotaUsage.refusal(of: caller, quotas, in: database, at: now)
        }
    }

    /// The first answer again: it follows from the request, the moment and the seed.
    private static func remake(
        _ record: IdempotencyRecord,
        _ caller: Caller,
        _ read: (_ identify: () -> String) throws -> ConversationDraft
    ) throws -> Made {
        let draft = try read(record.identity.childIDs)
        let conversation = Conversation(draft, id: record.target, owner: caller.id, at: record.identity.at)
        let append = MessageAppend(
            to: record.target,
            by: caller,
            draft.messages,
            isNew: true,
            at: record.identity.at,
            quotas: Quotas()
        )
        return (conversation, try append?.messages(after: 0, head: nil) ?? [])
    }

    private func refusal(id: String, slug: RequestText?, _ caller: Caller) async throws -> APIError {
        if try await !database.run(ConversationStatements.isTaken(id: id)).isEmpty {
            return APIError(.idTaken, detail: "conversation \(id)")
        }
        if let slug, try await slugHolder(slug, caller) != nil { return APIError(.slugTaken) }
        return APIError(.conflict)
    }

    private func slugHolder(_ slug: RequestText, _ caller: Caller) async throws -> String? {
        try await database.run(ConversationStatements.holder(ofSlug: slug, owner: caller.id)).first?.text("id")
    }

    /// Throws `not_found`.
    func get(_ id: String, for caller: Caller) async throws -> Conversation {
        let result = try await database.run(ConversationStatements.get(id: id, owner: caller.id))
        guard let row = result.first else { throw APIError(.notFound) }
        return try Conversation(row, whole: true)
    }

    /// The result of an earlier request, kept or in the trash since after `trashed`. Throws `result_gone`.
    func made(_ id: String, for caller: Caller, trashedAfter trashed: Instant) async throws -> Conversation {
        let result = try await database.run(
            ConversationStatements.made(id: id, owner: caller.id, trashedAfter: trashed)
        )
        guard let row = result.first else { throw APIError(.resultGone) }
        var conversation = try Conversation(row, whole: true)
        conversation.deletedAt = try row.optionalInstant("deleted_at")
        return conversation
    }

    struct Included: Sendable {
        var messages: Page<Message>?
        var votes: [Vote]?
    }

    /// A conversation, on request with its newest messages (oldest first) and the caller's votes on them, in one
    /// transaction. Throws `not_found`.
    func get(
        _ id: String,
        withMessages: Bool,
        votes: Bool,
        for caller: Caller
    ) async throws -> (Conversation, Included) {
        let page = PageRequest(limit: ConversationLimits.messages, cursor: nil, direction: .backward)
        for pass in MessagePage.Pass.allCases {
            var transaction = Transaction()
            let conversation = transaction.add(ConversationStatements.get(id: id, owner: caller.id))
            let read =
                withMessages
                ? transaction.add(Messages.read(of: id, caller: caller, page: page, order: .asc, pass: pass)) : nil
            let newest = votes ? transaction.add(VoteStatements.newest(in: id, of: caller.id)) : nil
            let results = try await database.run(transaction)
            guard let row = results[conversation].first else { throw APIError(.notFound) }
            var included = Included()
            if let read {
                let messages = try MessagePage.page(
                    results[read],
                    of: id,
                    page,
                    pass,
                    siblings: false,
                    cursor: \.cursor
                )
                guard let messages else { continue }
                included.messages = messages
            }
            if let newest { included.votes = try results[newest].rows.map { try Vote($0) } }
            return (try Conversation(row, whole: true), included)
        }
        throw APIError(.internalError)
    }

    /// Applies a patch. Throws `not_found`, `precondition_failed`, `slug_taken`, `user_inactive`, or `conflict` if the
    /// row changed under every attempt.
    func change(
        _ id: String,
        _ patch: ConversationPatch,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Conversation {
        try await Optimistic.retry {
            // The change names the version that it was computed from.
            var expected: Int64?
            var metadata: String?
            if patch.metadata != nil || precondition != .none || patch.isEmpty {
                let current = try await get(id, for: caller)
                try precondition.check(current)
                if patch.isEmpty { return .done(current) }
                metadata = try Self.merged(patch.metadata, into: current)
                expected = current.version
            }
            let now = clock.now()
            var own = patch
            if patch.descends, let head = patch.headMessage {
                let leaves = try await BranchLeaves(database: database).find([(head, id)], of: caller.id)
                own.headMessage = leaves[head]?.newest ?? head
            }
            var transaction = PrincipalTransaction(by: caller, at: now)
            let changed = transaction.add(
                ConversationStatements.change(
                    id: id,
                    owner: caller.id,
                    to: own,
                    metadata: metadata,
                    expected: expected,
                    at: now
                )
            )
            let visible = transaction.add(ConversationStatements.isVisible(id: id, owner: caller.id))
            let results = try await database.run(transaction)
            if let row = results[changed].first { return .done(try Conversation(row, whole: true)) }
            if results[visible].isEmpty { throw APIError(.notFound) }
            if let slug = patch.slug.value, let holder = try await slugHolder(slug, caller), holder != id {
                throw APIError(.slugTaken)
            }
            if let head = patch.headMessage,
                try await database.run(MessageStatements.isLeaf(message: head, in: id, owner: caller.id)).isEmpty
            {
                throw APIError.field("head_message_id", "invalid", "must be a message of this conversation")
            }
            return .outdated
        }
    }

    private static func merged(_ patch: [JSONElement.Member]?, into current: Conversation) throws -> String? {
        guard let patch else { return nil }
        let merged = try MetadataMerge.apply(patch, to: try current.metadata)
        guard merged.utf8.count <= ConversationLimits.json else {
            let detail = "must be at most \(ConversationLimits.json) bytes when merged"
            throw APIError.field("metadata", "too_long", detail, .atMost(ConversationLimits.json))
        }
        return merged
    }
}
