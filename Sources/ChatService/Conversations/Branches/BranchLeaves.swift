// Where the branches through some messages end.
//
// The newest leaf below a message is the one that was appended last. It is found exactly if it is the conversation's
// newest message, or if at most 200 messages are below. Of a larger tree that others were appended after, it is the
// head if that is below, or else where the newest child leads, at most 1,000 messages down. So the cost has a bound,
// and the answer always is a branch through the message.
import ServiceKit
import Storage

struct BranchLeaf: Sendable {
    /// The newest leaf below the message, or the message.
    let newest: String
    let head: String?
    /// Whether the message is on the branch of the head.
    let isShown: Bool

    /// The end of the branch to show the message on: the head's if it is there.
    var shown: String { isShown ? head ?? newest : newest }

    fileprivate init(_ row: Row) throws(StorageError) {
        newest = try row.text("leaf")
        head = try row.optionalText("head")
        isShown = try row.integer("is_shown") == 1
    }
}

struct BranchLeaves: Sendable {
    let database: any SQLDatabase

    /// More of them go to the slow pool.
    private static let few = 8

    /// The leaves below messages of the owner's that are live, in one transaction; others are left out.
    func find(_ messages: [(id: String, conversation: String)], of owner: String) async throws -> [String: BranchLeaf] {
        guard !messages.isEmpty else { return [:] }
        var transaction = Transaction()
        let handles = messages.map { message in
            transaction.add(
                BranchLeafStatements.leaf(below: message.id, in: message.conversation, owner: owner)
            )
        }
        let priority: TransactionPriority = messages.count <= Self.few ? .normal : .long
        let results = try await database.run(transaction, priority: priority)
        var leaves: [String: BranchLeaf] = [:]
        for (message, handle) in zip(messages, handles) {
            leaves[message.id] = try results[handle].first.map { row throws(StorageError) in try BranchLeaf(row) }
        }
        return leaves
    }
}

extension Messages {
    /// The same messages, with the leaves below their siblings if they show those.
    func withLeaves(_ messages: [Message], in conversation: String, of caller: Caller) async throws -> [Message] {
        let ids = Set(messages.flatMap { [$0.siblings?.previousID, $0.siblings?.nextID].compactMap(\.self) })
        guard !ids.isEmpty else { return messages }
        let leaves = try await BranchLeaves(database: database)
            .find(ids.sorted().map { ($0, conversation) }, of: caller.id)
        return messages.map { $0.with(leaves: leaves) }
    }

    /// A message amid the branch to show it on, oldest first, and where that branch ends: half of the page is above
    /// the message, which is among them, and half below. Throws `not_found`.
    func around(
        _ message: String,
        in conversation: String,
        limit: Int,
        for caller: Caller,
        siblings: Bool
    ) async throws -> (page: Page<Message>, leaf: String) {
        let found = try await BranchLeaves(database: database).find([(message, conversation)], of: caller.id)
        guard let leaf = found[message]?.shown else { throw APIError(.notFound) }
        let below = leaf == message ? 0 : limit / 2
        let above = try await branch(
            conversation,
            leaf: message,
            for: caller,
            page: PageRequest(limit: limit - below, cursor: nil, direction: .backward),
            order: .asc,
            siblings: siblings
        )
        let later: Page<Message>? =
            if below > 0, let last = above.items.last {
                try await branch(
                    conversation,
                    leaf: leaf,
                    for: caller,
                    page: PageRequest(limit: below, cursor: last.branchCursor, direction: .forward),
                    order: .asc,
                    siblings: siblings
                )
            } else {
                nil
            }
        let items = above.items + (later?.items ?? [])
        let hasLater = later?.hasMore ?? (leaf != message)
        let page = Page(
            items: items,
            next: hasLater ? items.last?.branchCursor : nil,
            previous: above.hasMore ? items.first?.branchCursor : nil,
            hasMore: hasLater || above.hasMore
        )
        return (page, leaf)
    }
}
