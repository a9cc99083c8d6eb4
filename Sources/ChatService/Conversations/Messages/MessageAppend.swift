// Appends messages to a conversation: all of them, numbered without a gap, or none, in one transaction.
//
// After the lock of its principal's row, the transaction has these steps:
//
//     1. lock      the conversation's row (or insert it, at version 0). This fixes `last_seq` = L.
//     2. insert    message k at seq L + k, each `ON CONFLICT (id) DO NOTHING`. The WHERE has all conditions (visible,
//                  writable, parent in this conversation), so a refusal is no row.
//     3. undo      the rows above L if they are fewer than n, because a given id exists in some conversation. A look
//                  beforehand would not do: the other row may commit in between. `ON CONFLICT` waits for it.
//     4. bill      the rows above L (see Usage). If a quota is set and exceeded, everything is undone first.
//     5. advance   L to L + n, if the row at L + n exists. Parents, title, head and counters move with it.
//     6. drop      a conversation that this transaction made and could not fill.
//
// No other transaction sees the conversation between 2 and 5, and appends to it are serialised. So after every
// transaction the rows are 1…last_seq. After step 3 there are n rows or none, which is why one look at L + n suffices.
// `UNIQUE (conversation_id, seq)` makes the transaction fail if this reasoning is wrong.
import ServiceKit
import Storage

struct MessageAppend: Sendable {
    let conversation: String
    let caller: Caller
    let drafts: [MessageDraft]
    /// Whether the same transaction makes the conversation.
    let isNew: Bool
    let now: Instant
    /// The caller's own messages per day; `nil` without a limit, or if none of these counts.
    let quota: Int64?

    /// `nil` for an empty list.
    init?(
        to conversation: String,
        by caller: Caller,
        _ drafts: [MessageDraft],
        isNew: Bool,
        at now: Instant,
        quotas: Quotas
    ) {
        guard !drafts.isEmpty else { return nil }
        quota = drafts.contains { $0.role == .user } ? quotas[caller].messagesPerDay : nil
        self.conversation = conversation
        self.caller = caller
        self.drafts = drafts
        self.isNew = isNew
        self.now = now
    }

    struct Steps: Sendable {
        fileprivate let inserted: [Transaction.Handle]
        /// Affects rows if the quota refuses the messages.
        fileprivate let enforced: Transaction.Handle?
        fileprivate let advanced: Transaction.Handle
    }

    /// Adds steps 2 to 6; the caller adds step 1.
    func addSteps(to transaction: inout PrincipalTransaction) -> Steps {
        var inserted: [Transaction.Handle] = []
        inserted.reserveCapacity(drafts.count)
        var previous: String?
        for (index, draft) in drafts.enumerated() {
            let parent = draft.parent ?? previous.map { .message($0) } ?? .head
            inserted.append(
                transaction.add(
                    MessageStatements.insert(
                        draft: draft,
                        number: index + 1,
                        after: parent,
                        in: conversation,
                        isNew: isNew,
                        by: caller,
                        at: now
                    )
                )
            )
            previous = draft.id
        }
        if drafts.count > 1 {
            transaction.add(MessageStatements.undoInserts(into: conversation, ifFewerThan: drafts.count))
        }
        let enforced = quota.map { quota in
            transaction.add(
                MessageStatements.enforceQuota(
                    limit: quota,
                    of: caller.id,
                    on: UsageDay(now),
                    in: conversation,
                    count: drafts.count
                )
            )
        }
        transaction.add(contentsOf: Usage.spend(bill: bill, of: caller.id, conversation: conversation, at: now))
        let advanced = transaction.add(
            ConversationCounterStatements.advance(
                conversation: conversation,
                owner: caller.id,
                isNew: isNew,
                count: drafts.count,
                tokensIn: drafts.reduce(0) { $0 + ($1.tokensIn ?? 0) },
                tokensOut: drafts.reduce(0) { $0 + ($1.tokensOut ?? 0) },
                head: previous ?? "",
                title: isNew ? nil : automaticTitle,
                at: now
            )
        )
        if isNew {
            transaction.add(ConversationCounterStatements.dropDraft(conversation: conversation, owner: caller.id))
        }
        return Steps(inserted: inserted, enforced: enforced, advanced: advanced)
    }

    private var bill: Usage.Bill {
        Usage.Bill(
            messages: drafts.count,
            hasOwn: drafts.contains { $0.role == .user },
            namesTokens: drafts.contains {
                ($0.tokensIn ?? 0) > 0 || ($0.tokensOut ?? 0) > 0 || ($0.tokensTotal ?? 0) > 0
            },
            tokens: drafts.reduce(0) { $0 + ($1.tokensTotal ?? 0) }
        )
    }

    var automaticTitle: RequestText? { Self.automaticTitle(drafts) }

    static func automaticTitle(_ drafts: [MessageDraft]) -> RequestText? {
        drafts.lazy.filter { $0.role == .user }.compactMap(\.contentText).compactMap(AutomaticTitle.make).first
    }

    enum Outcome: Sendable {
        case appended(Conversation, [Message])
        case refused(MessageDraft)
        case overQuota
    }

    func outcome(of steps: Steps, _ results: PrincipalResults) throws -> Outcome {
        guard let row = results[steps.advanced].first else {
            if let enforced = steps.enforced, results[enforced].affected > 0 { return .overQuota }
            let index = steps.inserted.firstIndex(where: { handle in results[handle].isEmpty }) ?? 0
            return .refused(drafts[index])
        }
        var messages: [Message] = []
        for (draft, inserted) in zip(drafts, steps.inserted) {
            guard let insertedRow = results[inserted].first else { throw APIError(.internalError) }
            messages.append(
                try Message(draft, conversation: conversation, author: caller, inserted: insertedRow, at: now)
            )
        }
        return .appended(try Conversation(row, whole: true), messages)
    }

    /// The messages of an earlier attempt at this request, when the conversation had `last` messages.
    func messages(after last: Int64, head: String?) throws -> [Message] {
        var previous: String?
        return try drafts.enumerated().map { index, draft in
            let parent: String? =
                switch draft.parent ?? previous.map({ .message($0) }) ?? .head {
                case .head: head
                case .message(let id): id
                }
            previous = draft.id
            let inserted = Row(["seq": last + Int64(index) + 1, "parent_id": parent])
            return try Message(draft, conversation: conversation, author: caller, inserted: inserted, at: now)
        }
    }

    /// The error about a refused message: its id exists, or else its parent does not.
    static func refusal(of draft: MessageDraft, in database: any SQLDatabase) async throws -> APIError {
        if draft.hasOwnID, try await !database.run(MessageStatements.isTaken(id: draft.id)).isEmpty {
            return APIError(.idTaken, detail: "message \(draft.id)")
        }
        if case .message(_?) = draft.parent {
            let field = draft.path.isEmpty ? "parent_id" : "\(draft.path).parent_id"
            return .field(field, "invalid", "must be a message of this conversation")
        }
        return APIError(.conflict)
    }
}
