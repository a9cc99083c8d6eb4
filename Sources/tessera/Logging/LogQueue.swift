// Lines that wait for the log's writer: in order, whole, and with a limit in bytes.

/// Waiting lines, and the count of those that found no room.
///
/// A position is a number of bytes since the start, so "is it written" is one comparison.
struct LogQueue {
    static let lineFeed = UInt8(ascii: "\n")

    /// In bytes, including those being written.
    let capacity: Int
    /// Makes the line that reports how many lines are missing.
    let notice: @Sendable (Int) -> [UInt8]

    /// The position behind the last accepted line.
    private(set) var accepted = 0
    /// The writer's position. Lines that it failed to write count as passed.
    private(set) var written = 0
    private(set) var dropped = 0

    private var waiting: [UInt8] = []
    /// Since the last notice.
    private var unreported = 0
    /// False from a loss to the next successful write: a notice in between would be lost too.
    private var isFlowing = true

    init(capacity: Int, notice: @escaping @Sendable (Int) -> [UInt8]) {
        self.capacity = capacity
        self.notice = notice
    }

    var isEmpty: Bool { waiting.isEmpty }

    /// The line has no line feed. False if there is no room.
    mutating func append(_ line: [UInt8]) -> Bool {
        guard accepted - written + line.count < capacity else { return false }
        if isFlowing { reportLoss() }
        add(line)
        return true
    }

    /// Appends the notice even if the queue is full: it is short, and there is at most one.
    mutating func reportLoss() {
        guard unreported > 0 else { return }
        add(notice(unreported))
        unreported = 0
    }

    mutating func drop(_ lines: Int) {
        dropped += lines
        unreported += lines
        isFlowing = false
    }

    /// Moves all waiting bytes into `batch`. The two arrays swap, so that neither is allocated for each batch.
    mutating func take(into batch: inout [UInt8]) {
        batch.removeAll(keepingCapacity: true)
        swap(&batch, &waiting)
    }

    /// The writer has passed `count` more bytes, and lost `lost` lines of them.
    mutating func advance(by count: Int, lost: Int) {
        written += count
        if lost > 0 {
            drop(lost)
        } else {
            isFlowing = true
            // There may be no further line for hours to carry the notice.
            if written == accepted { reportLoss() }
        }
    }

    private mutating func add(_ line: [UInt8]) {
        waiting += line
        waiting.append(Self.lineFeed)
        accepted += line.count + 1
    }

    /// The first lines of `batch` within `limit` bytes; at least one line, whatever its length.
    static func wholeLines(of batch: ArraySlice<UInt8>, upTo limit: Int) -> ArraySlice<UInt8> {
        let head = batch.prefix(limit)
        if let end = head.lastIndex(of: lineFeed) { return batch[...end] }
        guard let end = batch[head.endIndex...].firstIndex(of: lineFeed) else { return batch }
        return batch[...end]
    }
}
