// A conversation belongs to one principal and is seen by nobody else: to others it is not forbidden, it is not there.
//
// States: kept → archived (with a reason; still listed, filters tell it apart) → kept …; and from either → trash
// (`deleted_at`), where every path but a later restore takes it for gone. Its slug is free again then.
//
// `version` counts changes of the row's own fields and is its ETag; appended messages move counters and
// `updated_at`, not the version, so that a chat in progress does not defeat an editor's `If-Match`. A title that was
// made from the first user message is such a change. A title that a person gave (or took away) is never replaced.
import OpenSSLCrypto
import ServiceKit
import Storage

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
        var tag: TagName?
        /// Of titles.
        var query: SearchQuery?
    }

    // MARK: Creating

    /// A conversation and its first messages.
    typealias Made = (conversation: Conversation, messages: [Message])

    /// Makes a conversation with its first messages, or nothing. Throws `id_taken`, `slug_taken`, `user_inactive`,
    /// `quota_exceeded`, `idempotency_key_reused`, or a complaint about a message. `attempt` is the request's key, if it
    /// has one; `read` reads the request with ids for the messages that say none.
    func create(
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil,
        _ read: (_ identify: () -> String) throws -> ConversationDraft
    ) async throws -> Outcome<Made> {
        let now = attempt?.identity.at ?? clock.now()
        let identity = attempt?.identity ?? AttemptIdentity(seed: Hex.encode(random.bytes(16)), at: now)
        let draft = try read(identity.childIDs)
        let id = draft.id ?? identity.ownID
        let append = MessageAppend(to: id, by: caller, draft.messages, isNew: true, at: now, quotas: quotas)
        let (title, source) = draft.titleAndSource
        var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: id)
        // Version 0 marks the row as this transaction's own until its messages are in.
        let inserted = transaction.add(
            ConversationStatements.insert(
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
                draft.metadata,
                SearchText.words(of: title)
            )
        )
        let steps = append?.addSteps(to: &transaction)
        let results = try await database.run(transaction)
        guard let row = results[inserted].first else {
            if let record = results.earlier {
                return Outcome(value: try Self.remake(record, caller, read), isReplay: true)
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
        case .overQuota: throw try await QuotaStanding.refusal(of: caller, quotas, in: database, at: now)
        }
    }

    /// What the request made when it came first: everything about it follows from the request, the moment and the seed.
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

    /// What an earlier request made, kept or in the trash since after `trashed`. Throws `result_gone`.
    func made(_ id: String, for caller: Caller, trashedAfter trashed: Instant) async throws -> Conversation {
        let result = try await database.run(ConversationStatements.made(id, caller.id, trashed))
        guard let row = result.first else { throw APIError(.resultGone) }
        var conversation = try Conversation(row, whole: true)
        conversation.deletedAt = try row.optionalInstant("deleted_at")
        return conversation
    }

    /// What comes with a conversation.
    struct Included: Sendable {
        var messages: Page<Message>?
        var votes: [Vote]?
    }

    /// A conversation with its newest messages, oldest first, the caller's votes on those, or both, read in one unit.
    /// Throws `not_found`.
    func get(
        _ id: String,
        withMessages: Bool,
        votes: Bool,
        for caller: Caller
    ) async throws -> (Conversation, Included) {
        // The page that ends where the conversation does.
        let page = PageRequest(limit: ConversationLimits.messages, cursor: nil, direction: .backward)
        for pass in MessagePage.Pass.allCases {
            var unit = [ConversationStatements.get(id, caller.id)]
            if withMessages { unit.append(Messages.read(id, caller, page, .asc, pass)) }
            if votes { unit.append(VoteStatements.newest(id, caller.id, ConversationLimits.messages)) }
            let results = try await database.run(unit)
            guard let row = results[0].first else { throw APIError(.notFound) }
            var included = Included()
            if withMessages {
                let messages = try MessagePage.read(results[1], of: id, page, pass, siblings: false, cursor: \.cursor)
                guard let messages else { continue }
                included.messages = messages
            }
            if votes { included.votes = try results.last?.rows.map { try Vote($0) } }
            return (try Conversation(row, whole: true), included)
        }
        throw APIError(.internalError)
    }

    /// A page of the caller's conversations, the last touched first.
    func list(_ filter: Filter, for caller: Caller, page: PageRequest) async throws -> Page<Conversation> {
        // A tag that is nobody's, or on nothing, is on no page.
        var tag: Tagged?
        if let name = filter.tag, filter.query == nil {
            guard let row = try await database.run(TagStatements.find(name, owner: caller.id)).first,
                try row.integer("conversation_count") > 0
            else {
                var none = Page<Conversation>(fetched: [], request: page, cursor: \.cursor)
                if page.wantsCount { none.total = 0 }
                return none
            }
            tag = Tagged(id: try row.text("id"), isOnFew: try row.integer("conversation_count") <= Tagged.few)
        }
        var unit = [read(filter, tag, caller, page)]
        if page.wantsCount { unit.append(count(filter, caller)) }
        let results = try await database.run(unit)
        var answer = Page(
            fetched: try results[0].rows.map { try Conversation($0, whole: false) },
            request: page,
            cursor: \.cursor
        )
        if page.wantsCount { answer.total = try results[1].first?.integer("total") }
        return answer
    }

    /// The tag of a list, and how to look for it.
    private struct Tagged {
        /// So many are found one by one in less time than a range is walked.
        static let few: Int64 = 1000

        let id: String
        let isOnFew: Bool

        func among(_ statements: (few: Statement, many: Statement)) -> Statement {
            isOnFew ? statements.few : statements.many
        }
    }

    private func count(_ filter: Filter, _ caller: Caller) -> BoundStatement {
        let (archived, pinned) = (filter.archived, filter.pinned)
        if let query = filter.query {
            let words = TitleFilter.words(query, of: caller, database.engine)
            return TitleFilter.count(caller.id, archived, pinned, filter.tag?.key, words)
        }
        let part = ConversationStatements.Part(archived: archived, pinned: pinned)
        guard let tag = filter.tag else { return ConversationStatements.count[part](caller.id, archived, pinned) }
        return ConversationStatements.countTagged(caller.id, archived, pinned, tag.key)
    }

    /// The statement that fetches a page.
    private func read(_ filter: Filter, _ tag: Tagged?, _ caller: Caller, _ page: PageRequest) -> BoundStatement {
        let (archived, pinned) = (filter.archived, filter.pinned)
        let part = ConversationStatements.Part(archived: archived, pinned: pinned)
        let words = filter.query.map { TitleFilter.words($0, of: caller, database.engine) }
        let isForward = page.direction == .forward
        if let offset = page.offset {
            if let words {
                return TitleFilter.numbered(
                    caller.id,
                    archived,
                    pinned,
                    filter.tag?.key,
                    words,
                    page.fetchCount,
                    offset
                )
            }
            guard let tag else {
                return ConversationStatements.numbered[part](caller.id, archived, pinned, page.fetchCount, offset)
            }
            let statement = tag.among(ConversationStatements.numberedTagged)
            return statement(caller.id, archived, pinned, page.fetchCount, offset, tag.id)
        }
        // Past every row, in the direction of the page.
        let cursor = page.cursor ?? (isForward ? .beyondNewest : Cursor(position: 0, id: ""))
        if let words {
            let statement = isForward ? TitleFilter.older : TitleFilter.newer
            return statement(
                caller.id,
                archived,
                pinned,
                filter.tag?.key,
                words,
                cursor.instant,
                cursor.id,
                page.fetchCount
            )
        }
        guard let tag else {
            let statement = (isForward ? ConversationStatements.older : ConversationStatements.newer)[part]
            return statement(caller.id, archived, pinned, cursor.instant, cursor.id, page.fetchCount)
        }
        let statement = tag.among(isForward ? ConversationStatements.olderTagged : ConversationStatements.newerTagged)
        return statement(caller.id, archived, pinned, cursor.instant, cursor.id, page.fetchCount, tag.id)
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
            if let head = patch.headMessage,
                try await database.run(MessagePages.isLeaf(id, caller.id, head)).isEmpty
            {
                throw APIError.field("head_message_id", "invalid", "must be a message of this conversation")
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
            metadata,
            patch.headMessage,
            SearchText.words(of: patch.title.value)
        )
    }

    private static func merged(_ patch: [JSONElement.Member]?, into current: Conversation) throws -> String? {
        guard let patch else { return nil }
        let merged = try MetadataMerge.apply(patch, to: try current.metadata)
        guard merged.utf8.count <= ConversationLimits.json else {
            throw APIError.field("metadata", "too_long", "must be at most \(ConversationLimits.json) bytes when merged")
        }
        return merged
    }
}
