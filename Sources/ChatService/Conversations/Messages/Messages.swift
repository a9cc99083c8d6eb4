// The messages of a conversation, in the order of their numbers.
//
// An appended message has its `seq` for ever; each number of 1…`last_seq` has a row. A message names its parent, so
// that branches (an edited question, a regenerated answer) are siblings; the default parent is the newest message. For
// all but the owner neither the conversation nor its messages exist.
import ServiceKit
import Storage

struct Messages: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let quotas: Quotas

    /// For a message without an id.
    func makeID() -> String { ids.make(at: clock.now()) }

    /// Appends all messages or none. Throws `not_found`, `id_taken`, `quota_exceeded`, `user_inactive`,
    /// `idempotency_key_reused`, or an error about `parent_id`. `attempt`: the request's key. `read` reads the request,
    /// with ids for messages without one.
    func append(
        to conversation: String,
        by caller: Caller,
        once attempt: IdempotentAttempt? = nil,
        _ read: (_ identify: () -> String) throws -> [MessageDraft]
    ) async throws -> Outcome<[Message]> {
        let now = attempt?.identity.at ?? clock.now()
        let drafts = try read(attempt?.identity.childIDs ?? makeID)
        guard
            let append = MessageAppend(to: conversation, by: caller, drafts, isNew: false, at: now, quotas: quotas)
        else { return Outcome(value: [], isReplay: false) }
        var transaction = PrincipalTransaction(by: caller, at: now, once: attempt, target: conversation)
        let locked = transaction.add(ConversationCounterStatements.lock(conversation: conversation, owner: caller.id))
        let steps = append.addSteps(to: &transaction)
        let results = try await database.run(transaction)
        guard !results[locked].isEmpty else {
            guard let record = results.earlier else { throw APIError(.notFound) }
            let again = MessageAppend(
                to: conversation,
                by: caller,
                try read(record.identity.childIDs),
                isNew: false,
                at: record.identity.at,
                quotas: quotas
            )
            let messages = try again?.messages(after: record.baseSequence, head: record.baseHead) ?? []
            return Outcome(value: messages, isReplay: true)
        }
        switch try append.outcome(of: steps, results) {
        case .appended(_, let messages): return Outcome(value: messages, isReplay: false)
        case .refused(let draft):
            if let stored = try await append.stored(instead: draft, in: database) {
                return Outcome(value: stored, isReplay: false, wasThere: true)
            }
            throw try await MessageAppend.refusal(of: draft, in: database)
        case .overQuota: throw try await QuotaUsage.refusal(of: caller, quotas, in: database, at: now)
        }
    }

    func get(_ id: String, in conversation: String, for caller: Caller, siblings: Bool = false) async throws -> Message
    {
        let result = try await database.run(
            MessageStatements.get(message: id, in: conversation, owner: caller.id, siblings: siblings)
        )
        guard let row = result.first else { throw APIError(.notFound) }
        let message = try Message(row, in: conversation, withSiblings: siblings)
        return try await withLeaves([message], in: conversation, of: caller).first ?? message
    }

    /// A page of messages that are not deleted; `order` applies to the page and its cursors. Throws `not_found`.
    ///
    /// The page's statement tests the owner, so rows prove the right to see them. Only an empty page needs a test
    /// whether the conversation exists.
    func list(
        _ conversation: String,
        for caller: Caller,
        page: PageRequest,
        order: MessageOrder,
        siblings: Bool = false
    ) async throws -> Page<Message> {
        let isVisible = ConversationStatements.isVisible(id: conversation, owner: caller.id)
        for pass in MessagePage.Pass.allCases {
            var transaction = Transaction()
            let visible = page.wantsCount ? transaction.add(isVisible) : nil
            let rows = transaction.add(
                Self.read(of: conversation, caller: caller, page: page, order: order, pass: pass, siblings: siblings)
            )
            let results = try await database.run(transaction)
            if let visible {
                if results[visible].isEmpty { throw APIError(.notFound) }
            } else if results[rows].isEmpty, try await database.run(isVisible).isEmpty {
                throw APIError(.notFound)
            }
            let read = try MessagePage.page(
                results[rows],
                of: conversation,
                page,
                pass,
                siblings: siblings,
                cursor: \.cursor
            )
            guard var answer = read else { continue }
            if let visible { answer.total = try results[visible].first?.integer("message_count") }
            return answer.with(items: try await withLeaves(answer.items, in: conversation, of: caller))
        }
        throw APIError(.internalError)
    }

    /// In the direction of the request.
    static func read(
        of conversation: String,
        caller: Caller,
        page: PageRequest,
        order: MessageOrder,
        pass: MessagePage.Pass,
        siblings: Bool = false
    ) -> BoundStatement {
        let isLater = (order == .asc) == (page.direction == .forward)
        let edge = page.cursor?.position ?? (isLater ? 0 : .max)
        return MessagePages.ofConversation(
            id: conversation,
            owner: caller.id,
            isLater: isLater,
            edge: edge,
            offset: page.offset ?? 0,
            limit: page.fetchCount,
            pass: pass,
            siblings: siblings
        )
    }

    /// A page of the branch that ends in `leaf`, or in the head for `nil`. It begins at the leaf; MessagePages.swift
    /// explains its cost. `isHeads`: the leaf is the head of the cursor. Throws `not_found`, or `invalid_cursor` if
    /// that message is gone.
    func branch(
        _ conversation: String,
        leaf: String?,
        isHeads: Bool = false,
        for caller: Caller,
        page request: PageRequest,
        order: MessageOrder,
        siblings: Bool = false
    ) async throws -> Page<Message> {
        // The first page is the leaf's, in either order.
        let direction = request.cursor == nil && order == .asc ? .backward : request.direction
        let page = PageRequest(limit: request.limit, cursor: request.cursor, direction: direction)
        let isUpwards = (order == .asc) == (page.direction == .backward)
        for pass in MessagePage.Pass.allCases {
            let result: SQLResult
            if !isUpwards, let edge = page.cursor {
                let read = MessagePages.towardsLeaf(
                    in: conversation,
                    owner: caller.id,
                    leaf: leaf,
                    edge: edge.position,
                    limit: page.fetchCount,
                    pass: pass,
                    siblings: siblings
                )
                // Its cost is the unknown distance from the leaf, so it runs in the slow pool.
                result = try await database.run(read, priority: .long)
            } else {
                let read = MessagePages.towardsRoot(
                    in: conversation,
                    owner: caller.id,
                    leaf: leaf,
                    edge: page.cursor?.id,
                    limit: page.fetchCount,
                    pass: pass,
                    siblings: siblings
                )
                result = try await database.run(read)
            }
            if result.isEmpty {
                let isVisible = ConversationStatements.isVisible(id: conversation, owner: caller.id)
                let isThere =
                    leaf.map { MessageStatements.isLeaf(message: $0, in: conversation, owner: caller.id) } ?? isVisible
                if try await database.run(isThere).isEmpty {
                    // The request named the head, not this message.
                    if isHeads, try await !database.run(isVisible).isEmpty { throw APIError(.invalidCursor) }
                    throw APIError(.notFound)
                }
            }
            let answer = try MessagePage.page(
                result,
                of: conversation,
                page,
                pass,
                siblings: siblings,
                cursor: \.branchCursor
            )
            if let answer {
                return answer.with(items: try await withLeaves(answer.items, in: conversation, of: caller))
            }
        }
        throw APIError(.internalError)
    }
}

enum MessageOrder: String, Sendable, CaseIterable {
    case asc, desc
}
