/// The edges of a log at one moment.
package struct LogEdges: Sendable {
    package let epoch: String
    /// The greatest known number, including removed rows; 0 before the first.
    package let newest: Int64
    /// Rows up to this number may be gone.
    package let horizon: Int64

    package init(epoch: String, newest: Int64, horizon: Int64) {
        self.epoch = epoch
        self.newest = newest
        self.horizon = horizon
    }

    package var end: EventCursor { EventCursor(epoch: epoch, seq: newest) }

    /// Whether nothing after the cursor is missing. `everKept`: whether the rows that are read never leave
    /// the log.
    package func reaches(_ cursor: EventCursor, everKept: Bool = false) -> Bool {
        cursor.epoch == epoch && cursor.seq <= newest && (cursor.seq >= horizon || everKept)
    }
}
