// A conversation belongs to one principal and is seen by nobody else: to others it is not forbidden, it is not there.
//
// States: kept → archived (with a reason; still listed, filters tell it apart) → kept …; and from either → trash
// (`deleted_at`), where every path but a later restore takes it for gone. Its slug is free again then.
//
// `version` counts changes of the row's own fields and is its ETag; appended messages move counters and
// `updated_at`, not the version, so that a chat in progress does not defeat an editor's `If-Match`. A title that was
// made from the first user message is such a change. A title that a person gave (or took away) is never replaced.
import OpenSSLCrypto
import Storage
import WebSupport

/// Everything that can happen to a conversation but its messages.
struct Conversations: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let quotas: Quotas

    /// How often a change is tried again when others change the row in between.
    static let attempts = 32

    /// The filters of the list.
    struct Filter: Sendable {
        let archived: Bool?
        let pinned: Bool?
    }

    // MARK: Creating

    /// Makes a conversation with its first messages, or nothing. Throws `id_taken`, `slug_taken`, `user_inactive`,
    /// `quota_exceeded`, or a complaint about a message.
    func create(_ draft: ConversationDraft, by caller: Caller) async throws -> (Conversation, [Message]) {
        let now = clock.now()
        let id = draft.id ?? UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
        let append = MessageAppend(to: id, by: caller, draft.messages, isNew: true, at: now, quotas: quotas)
        let title = draft.title ?? append?.automaticTitle
        let source: String? = draft.title != nil ? "user" : title != nil ? "auto" : nil
        let beginning = Principals.willWrite(caller, at: now)
        // Version 0 marks the row as this unit's own until its messages are in.
        let insert = ConversationStatements.insert(
            id,
            caller.id,
            title,
            source,
            draft.model,
            draft.slug,
            draft.visibility.rawValue,
            now,
            append == nil ? 1 : 0,
            draft.settings,
            draft.metadata
        )
        let results = try await database.run(beginning + [insert] + (append?.statements ?? []))
        guard let row = results[beginning.count].first else {
            try Principals.requireActive(results)
            throw try await refusal(id: id, slug: draft.slug, caller)
        }
        guard let append else { return (try Conversation(row, whole: true), []) }
        switch try append.outcome(results) {
        case .appended(let conversation, let messages): return (conversation, messages)
        case .refused(let message): throw try await MessageAppend.refusal(of: message, in: database)
        case .overQuota: throw try await QuotaStanding.refusal(of: caller, quotas, in: database, at: now)
        }
    }

    private func refusal(id: String, slug: String?, _ caller: Caller) async throws -> APIError {
        if try await !database.run(ConversationStatements.isTaken(id)).isEmpty {
            return APIError(.idTaken, detail: "conversation \(id)")
        }
        if let slug, try await slugHolder(slug, caller) != nil { return APIError(.slugTaken) }
        return APIError(.conflict)
    }

    private func slugHolder(_ slug: String, _ caller: Caller) async throws -> String? {
        try await database.run(ConversationStatements.slugHolder(caller.id, slug)).first?.text("id")
    }

    // MARK: Reading

    /// Throws `not_found`.
    func get(_ id: String, for caller: Caller) async throws -> Conversation {
        let result = try await database.run(ConversationStatements.get(id, caller.id))
        guard let row = result.first else { throw APIError(.notFound) }
        return try Conversation(row, whole: true)
    }

    /// A conversation and its newest messages, oldest first, both read in one unit. Throws `not_found`.
    func getWithMessages(_ id: String, for caller: Caller) async throws -> (Conversation, Page<Message>) {
        // The page that ends where the conversation does.
        let page = PageRequest(limit: ConversationLimits.messages, cursor: nil, direction: .backward)
        let results = try await database.run([
            ConversationStatements.get(id, caller.id),
            Messages.read(id, caller, page, .asc),
        ])
        guard let row = results[0].first else { throw APIError(.notFound) }
        let messages = Page(fetched: try results[1].rows.map { try Message($0) }, request: page, cursor: \.cursor)
        return (try Conversation(row, whole: true), messages)
    }

    /// A page of the caller's conversations, the last touched first.
    func list(_ filter: Filter, for caller: Caller, page: PageRequest) async throws -> Page<Conversation> {
        let statement = page.direction == .forward ? ConversationStatements.older : ConversationStatements.newer
        // Past every row, in the direction of the page.
        let edge = page.direction == .forward ? Instant(seconds: 253_402_300_799) : Instant(microseconds: 0)
        let cursor = page.cursor ?? Cursor(edge, "")
        var unit = [
            statement(caller.id, filter.archived, filter.pinned, cursor.instant, cursor.id, page.fetchCount)
        ]
        if page.wantsCount { unit.append(ConversationStatements.count(caller.id, filter.archived, filter.pinned)) }
        let results = try await database.run(unit)
        var answer = Page(
            fetched: try results[0].rows.map { try Conversation($0, whole: false) },
            request: page,
            cursor: \.cursor
        )
        if page.wantsCount { answer.total = try results[1].first?.integer("total") }
        return answer
    }

    // MARK: Changing

    /// Applies a patch. Throws `not_found`, `precondition_failed`, `slug_taken`, `user_inactive`, or `conflict` when
    /// the row changed under every attempt.
    func change(
        _ id: String,
        _ patch: ConversationPatch,
        if precondition: VersionPrecondition,
        by caller: Caller
    ) async throws -> Conversation {
        for _ in 0..<Self.attempts {
            // What the change depends on is read first, and named by version in the change itself.
            var expected: Int64?
            var metadata: String?
            if patch.metadata != nil || precondition != .none || patch.isEmpty {
                let current = try await get(id, for: caller)
                try precondition.check(current.version)
                if patch.isEmpty { return current }
                metadata = try Self.merged(patch.metadata, into: current)
                expected = current.version
            }
            let results = try await database.run(
                Principals.willWrite(caller, at: clock.now())
                    + [
                        change(id, patch, metadata: metadata, expected: expected, caller),
                        ConversationStatements.isVisible(id, caller.id),
                    ]
            )
            if let row = results[Principals.leadingResults].first { return try Conversation(row, whole: true) }
            try Principals.requireActive(results)
            if results[Principals.leadingResults + 1].isEmpty { throw APIError(.notFound) }
            if let slug = patch.slug.value, let holder = try await slugHolder(slug, caller), holder != id {
                throw APIError(.slugTaken)
            }
        }
        throw APIError(.conflict)
    }

    private func change(
        _ id: String,
        _ patch: ConversationPatch,
        metadata: String?,
        expected: Int64?,
        _ caller: Caller
    ) -> BoundStatement {
        ConversationStatements.change(
            id,
            caller.id,
            expected,
            clock.now(),
            patch.title.isPresent,
            patch.title.value,
            patch.model.isPresent,
            patch.model.value,
            patch.slug.isPresent,
            patch.slug.value,
            patch.visibility?.rawValue,
            patch.archived,
            patch.archiveReason.isPresent,
            patch.archiveReason.value,
            patch.pinned,
            patch.settings,
            metadata
        )
    }

    private static func merged(_ patch: [JSONElement.Member]?, into current: Conversation) throws -> String? {
        guard let patch, let stored = current.documents?.metadata else { return nil }
        let merged = try MetadataMerge.apply(patch, to: stored)
        guard merged.utf8.count <= ConversationLimits.json else {
            throw APIError.field("metadata", "too_long", "must be at most \(ConversationLimits.json) bytes when merged")
        }
        return merged
    }

    /// Moves a conversation to the trash. Throws `not_found`, `precondition_failed`, `user_inactive` or `conflict`.
    func trash(_ id: String, if precondition: VersionPrecondition, by caller: Caller) async throws {
        for _ in 0..<Self.attempts {
            var expected: Int64?
            if precondition != .none {
                let current = try await get(id, for: caller)
                try precondition.check(current.version)
                expected = current.version
            }
            let now = clock.now()
            let results = try await database.run(
                Principals.willWrite(caller, at: now)
                    + [
                        ConversationStatements.trash(id, caller.id, expected, now),
                        ConversationStatements.isVisible(id, caller.id),
                    ]
            )
            if !results[Principals.leadingResults].isEmpty { return }
            try Principals.requireActive(results)
            if results[Principals.leadingResults + 1].isEmpty { throw APIError(.notFound) }
        }
        throw APIError(.conflict)
    }
}
