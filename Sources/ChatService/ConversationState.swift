// What a row of `conversations` is, as `version` and `deleted_at` say it. Every statement that depends on it names it.
//
//   state         version   deleted_at
//   live          1, 2, …   NULL         its owner sees it
//   in the trash  1, 2, …   an instant   its owner may bring it back
//   being made    0         NULL         between the first and the last statement of one transaction
//   unfinished    0         an instant   a fork or an import whose messages are still being inserted
//   ended         -1        an instant   removed for good; its rows go in batches
//
// **Version 0 inside a transaction** tells the transaction's own fresh row from one that had the id already, which must not
// be adopted. No other transaction ever sees it without `deleted_at`.

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
    /// Unfinished or ended: what the cleanup removes if it is left behind.
    case hidden

    /// The condition, on the columns of a table's alias; without one, on those of the statement's own table.
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

    /// The version of a row that becomes live, that is not finished, and that has ended.
    static let versions: (live: Int64, incomplete: Int64, ended: Int64) = (1, 0, -1)
}

/// What a row of `messages` is: a tombstone keeps its number, its place in the tree and the tokens that were spent on it.
enum MessageState {
    case live, tombstone

    /// The condition, on the columns of a table's alias; without one, on those of the statement's own table.
    func sql(_ alias: String? = nil) -> String {
        let column = alias.map { "\($0).deleted_at" } ?? "deleted_at"
        return self == .live ? "\(column) IS NULL" : "\(column) IS NOT NULL"
    }
}
