// Lines that wait for the log's writer: bounded in bytes, in order, each of them whole.

/// What waits to be written, and the count of what found no room.
///
/// A position is a number of bytes since the start, so "is it written" is one comparison.
struct LogQueue {
    static let lineFeed = UInt8(ascii: "\n")

    /// The most bytes that may wait, those in the writer's hands included.
    let capacity: Int
    /// Makes the line that says how many lines are missing.
    let notice: @Sendable (Int) -> [UInt8]

    /// The position behind the last line that was accepted.
    private(set) var accepted = 0
    /// The position that the writer has reached. What it could not write lies behind it too.
    private(set) var written = 0
    /// Lines that were lost, since the start.
    private(set) var dropped = 0

    private var waiting: [UInt8] = []
    /// Lines that were lost since the last notice.
    private var unreported = 0
    /// False from a loss to the next successful write: a notice in between would be lost too.
    private var isFlowing = true

    init(capacity: Int, notice: @escaping @Sendable (Int) -> [UInt8]) {
        self.capacity = capacity
        self.notice = notice
    }

    var isEmpty: Bool { waiting.isEmpty }

    /// Appends a line, which has no line feed; `false` when there is no room for it.
    mutating func append(_ line: [UInt8]) -> Bool {
        guard accepted - written + line.count < capacity else { return false }
        if isFlowing { reportLoss() }
        add(line)
        return true
    }

    /// Appends the notice where lines are missing, whether there is room or not: it is short, and there is one at most.
    mutating func reportLoss() {
        guard unreported > 0 else { return }
        add(notice(unreported))
        unreported = 0
    }

    /// Counts lines that are lost.
    mutating func drop(_ lines: Int) {
        dropped += lines
        unreported += lines
        isFlowing = false
    }

    /// Moves all that waits into `batch`. The two arrays take turns, so that neither grows anew for each batch.
    mutating func take(into batch: inout [UInt8]) {
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &waiting)
    }

    /// Records that the writer is done with `count` more bytes, in which it lost `lost` lines.
    mutating func advance(by count: Int, lost: Int) {
        written += count
        if lost > 0 {
            drop(lost)
        } else {
            isFlowing = true
            // Perhaps no line comes for hours that could carry the notice.
            if written == accepted { reportLoss() }
        }
    }

    private mutating func add(_ line: [UInt8]) {
        waiting += line
        waiting.append(Self.lineFeed)
        accepted += line.count + 1
    }

    /// The first lines of `batch` that together have at most `limit` bytes; at least one line, however long it is.
    static func wholeLines(of batch: ArraySlice<UInt8>, upTo limit: Int) -> ArraySlice<UInt8> {
        let head = batch.prefix(limit)
        if let end = head.lastIndex(of: lineFeed) { return batch[...end] }
        guard let end = batch[head.endIndex...].firstIndex(of: lineFeed) else { return batch }
        return batch[...end]
    }
}
