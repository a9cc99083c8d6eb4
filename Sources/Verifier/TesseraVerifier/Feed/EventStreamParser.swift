// Server-sent events from bytes (WHATWG HTML, "Server-sent events", §9.2.6), as they come: a chunk may end anywhere,
// also within a character or between CR and LF.

/// One event of a stream.
struct StreamEvent: Sendable, Hashable {
    /// `event`; empty where the stream names none.
    var name = ""
    /// The lines of `data`, with a line feed between them.
    var data: [UInt8] = []
}

/// Reads a stream of events, a chunk at a time.
struct EventStreamParser {
    /// SECURITY: an event of ours is under 1 KiB; a line or an event without an end must not fill the memory.
    static let maximumSize = 1 << 20

    struct TooLong: Error {}

    /// The last `id`, which says where to go on; it moves with an event's blank line, not before.
    private(set) var lastEventID: String?

    private var line: [UInt8] = []
    private var afterCarriageReturn = false
    private var isFirstLine = true
    private var event = StreamEvent()
    private var hasData = false
    private var id: String?

    init(lastEventID: String? = nil) {
        self.lastEventID = lastEventID
        self.id = lastEventID
    }

    /// Takes the next bytes of the stream.
    ///
    /// - Parameters:
    ///   - bytes: the next of the stream.
    ///   - handle: called with each event that these bytes complete and the position behind it.
    /// - Throws: `TooLong`, and what `handle` throws.
    mutating func parse(
        _ bytes: some Sequence<UInt8>,
        _ handle: (_ event: StreamEvent, _ id: String?) throws -> Void
    ) throws {
        for byte in bytes {
            let follows = afterCarriageReturn
            afterCarriageReturn = byte == UInt8(ascii: "\r")
            switch byte {
            case UInt8(ascii: "\n") where follows: continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                try endLine(handle)
            default:
                guard line.count + event.data.count < Self.maximumSize else { throw TooLong() }
                line.append(byte)
            }
        }
    }

    private mutating func endLine(_ handle: (StreamEvent, String?) throws -> Void) throws {
        defer { line.removeAll(keepingCapacity: true) }
        if isFirstLine {
            isFirstLine = false
            // A byte order mark may stand at the very beginning.
            if line.starts(with: [0xEF, 0xBB, 0xBF]) { line.removeFirst(3) }
        }
        guard !line.isEmpty else { return try endEvent(handle) }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "event":
            event.name = String(decoding: value, as: UTF8.self)
        case "data":
            if hasData { event.data.append(UInt8(ascii: "\n")) }
            event.data += value
            hasData = true
        case "id" where !value.contains(0):
            id = String(decoding: value, as: UTF8.self)
        default:
            // Comments, which begin with the colon, `retry`, and what is not known.
            break
        }
    }

    private mutating func endEvent(_ handle: (StreamEvent, String?) throws -> Void) throws {
        defer {
            event = StreamEvent()
            hasData = false
        }
        // SECURITY: whoever cannot take an event must not come to stand behind it.
        if hasData { try handle(event, id) }
        lastEventID = id
    }
}
