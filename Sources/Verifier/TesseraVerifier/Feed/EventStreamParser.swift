// Server-sent events (WHATWG HTML §9.2.6). A chunk may end anywhere, even inside a character or between CR and LF.

struct StreamEvent: Sendable, Hashable {
    /// Empty if the stream names none.
    var name = ""
    /// The lines of `data`, joined by line feeds.
    var data: [UInt8] = []
}

struct EventStreamParser {
    /// SECURITY: our events are under 1 KiB. A line or an event without an end must not fill the memory.
    static let maximumSize = 1 << 20

    struct TooLong: Error {}

    /// The last `id`, from which to resume. It changes with an event's blank line, not before.
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

    /// Parses the next bytes of the stream.
    ///
    /// - Parameters:
    ///   - bytes: the next of the stream.
    ///   - handle: called with each completed event and the position behind it.
    /// - Throws: `TooLong`, and errors of `handle`.
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
            // The stream may begin with a byte order mark.
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
            // Comments begin with the colon; `retry` and unknown fields are ignored too.
            break
        }
    }

    private mutating func endEvent(_ handle: (StreamEvent, String?) throws -> Void) throws {
        defer {
            event = StreamEvent()
            hasData = false
        }
        // SECURITY: an event that fails must not count as read.
        if hasData { try handle(event, id) }
        lastEventID = id
    }
}
