// The state of a row of `conversations`, by `version` and `deleted_at`. Every statement that depends on it names it.
//
//     state         version   deleted_at
//     live          1, 2, …   NULL         visible to its owner
//     in the trash  1, 2, …   an instant   its owner can restore it
//     being made    0         NULL         between the first and the last statement of one transaction
//     unfinished    0         an instant   a fork or an import whose messages are still being inserted
//     ended         -1        an instant   deleted for good; its rows are removed in batches
//
// **Version 0 inside a transaction** distinguishes the transaction's own new row from an existing one of that id, which
// must not be adopted. No other transaction sees it without `deleted_at`.
import Storage

enum ConversationState {
    /// Live, or being made by this transaction.
    case live
    case inTrash
    /// Live or in the trash.
    case complete
    /// Being made or unfinished.
    case incomplete
    case unfinished
    case ended
    /// Unfinished or ended: the cleanup removes it if it is left behind.
    case hidden

    /// With the columns of an alias, or of the statement's own table.
    func sql(_ alias: String? = nil) -> String {
        let row = alias.map { "\($0)." } ?? ""
        return switch self {
        case .live: "\(row)deleted_at IS NULL"
        case .inTrash: "\(row)deleted_at IS NOT NULL AND \(row)version > 0"
        case .complete: "\(row)version > 0"
        case .incomplete: "\(row)version = 0"
        case .unfinished: "\(row)version = 0 AND \(row)deleted_at IS NOT NULL"
        case .ended: "\(row)version < 0 AND \(row)deleted_at IS NOT NULL"
        case .hidden: "\(row)version <= 0"
        }
    }

    /// Of a row that becomes live, is not finished, or has ended.
    func sql(of owner: String, _ alias: String? = nil) -> String {
        let row = alias.map { "\($0)." } ?? ""
        return OnePlan.check("\(row)owner_id = \(owner) AND \(sql(alias))")
    }

    /// The version of a row that becomes live, that is not finished, and that has ended.
    static let versions: (live: Int64, incomplete: Int64, ended: Int64) = (1, 0, -1)
}

/// The state of a row of `messages`. A tombstone keeps its number, its place in the tree and its tokens.
enum MessageState {
    case live, tombstone

    /// With the columns of an alias, or of the statement's own table.
    func sql(_ alias: String? = nil) -> String {
        let column = alias.map { "\($0).deleted_at" } ?? "deleted_at"
        return self == .live ? "\(column) IS NULL" : "\(column) IS NOT NULL"
    }

    /// The condition on a row that its id has found: the state, and that it is in `conversation`.
    func sql(in conversation: String, _ alias: String? = nil) -> String {
        let row = alias.map { "\($0)." } ?? ""
        return OnePlan.check("\(row)conversation_id = \(conversation) AND \(sql(alias))")
    }

    /// The rows that a transaction has inserted into `:conversation`, before it moves `last_seq` over them. They are
    /// `:count` at most. Both ends are named: of a range with one end PostgreSQL expects a third of the table.
    static func isInserted(_ alias: String) -> String {
        let last = "SELECT c.last_seq FROM conversations c WHERE c.id = :conversation"
        return """
            \(alias).conversation_id = :conversation AND \(alias).seq > (\(last)) AND \(alias).seq <= (\(last)) + :count
            """
    }
}
