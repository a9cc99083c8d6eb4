import ServiceKit
// How messages come into a conversation: all of them, numbered without a gap, or none, in one transaction without branches.
//
// The transaction, after its principal's row is locked:
//   1. lock      the conversation's row (or insert it, at version 0). From here on `last_seq` = L is ours to read.
//   2. insert    message k at seq L + k, each `ON CONFLICT (id) DO NOTHING`. Everything it depends on (visible,
//                writable, its parent in this conversation) is in its WHERE, so a refusal is no row.
//   3. take back what lies past L if it is fewer than n. Needed when an id of the caller's own exists, here or in
//                anybody's conversation: asking beforehand would not do, since the other row may commit in between,
//                while the index itself makes `ON CONFLICT` wait for it and then decide.
//   4. bill      what lies past L (see Usage); where a quota is set, everything is taken back first if it is too much.
//   5. advance   L to L + n, if the row at L + n is there. Parents, title, head and counters move with it.
//   6. drop      a conversation that this transaction made and could not fill.
// No one sees the conversation between 2 and 5, and no appending transaction can be between its own 2 and 5 at the same
// time, so after every transaction the rows are 1…last_seq. After step 3 either all n are there or none, which is why one
// look at L + n is enough. `UNIQUE (conversation_id, seq)` stands behind it: were the reasoning wrong, the
// transaction would fail as a whole.
import Storage

/// A list of messages to append to one conversation.
struct MessageAppend: Sendable {
    let conversation: String
    let caller: Caller
    let drafts: [MessageDraft]
    /// Whether the same transaction makes the conversation.
    let isNew: Bool
    let now: Instant
    /// The caller's own messages of a day; `nil` for no limit, or where none of these counts.
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

    /// Where the results of the steps are.
    struct Steps: Sendable {
        /// One for each message.
        fileprivate let inserted: [Transaction.Handle]
        /// Affects rows when the quota refuses the messages.
        fileprivate let enforced: Transaction.Handle?
        fileprivate let advanced: Transaction.Handle
    }

    /// Adds steps 2 to 6; step 1 goes before them.
    func addSteps(to transaction: inout PrincipalTransaction) -> Steps {
        var inserted: [Transaction.Handle] = []
        inserted.reserveCapacity(drafts.count)
        var previous: String?
        for (index, draft) in drafts.enumerated() {
            let parent = draft.parent ?? previous.map { .message($0) } ?? .head
            inserted.append(
                transaction.add(
                    MessageStatements.insert(
                        draft,
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
                MessageStatements.enforceQuota(quota, of: caller.id, on: UsageDay(now), in: conversation)
            )
        }
        transaction.add(contentsOf: Usage.spend(bill, of: caller.id, conversation: conversation, at: now))
        let advanced = transaction.add(
            ConversationCounterStatements.advance(
                conversation,
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
        if isNew { transaction.add(ConversationCounterStatements.dropDraft(conversation, owner: caller.id)) }
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

    /// The title these messages would give.
    var automaticTitle: String? { Self.automaticTitle(drafts) }

    static func automaticTitle(_ drafts: [MessageDraft]) -> String? {
        drafts.lazy.filter { $0.role == .user }.compactMap(\.contentText).compactMap(AutomaticTitle.make).first
    }

    /// What the statements did.
    enum Outcome: Sendable {
        /// The conversation as it is now, and its new messages.
        case appended(Conversation, [Message])
        /// The first message that was not inserted.
        case refused(MessageDraft)
        /// More messages than the day's quota has left.
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

    /// The messages of an earlier attempt at this request, which found the conversation with `last` messages.
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

    /// The complaint about a refused message: its id exists, or else its parent does not.
    static func refusal(of draft: MessageDraft, in database: any SQLDatabase) async throws -> APIError {
        if draft.hasOwnID, try await !database.run(MessageStatements.isTaken(draft.id)).isEmpty {
            return APIError(.idTaken, detail: "message \(draft.id)")
        }
        if case .message(_?) = draft.parent {
            let field = draft.path.isEmpty ? "parent_id" : "\(draft.path).parent_id"
            return .field(field, "invalid", "must be a message of this conversation")
        }
        return APIError(.conflict)
    }
}
