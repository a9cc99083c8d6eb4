// A place in the event log: `epoch:seq`. Everything up to and with `seq` is behind it.
package struct EventCursor: Sendable, Hashable {
    package let epoch: String
    package let seq: Int64

    package init(epoch: String, seq: Int64) {
        self.epoch = epoch
        self.seq = seq
    }

    /// Reads what a consumer sends back. An epoch that is not the log's own is judged later, by the log.
    package init(_ text: String) throws(APIError) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, (1...64).contains(parts[0].utf8.count),
            parts[0].utf8.allSatisfy({ Self.isLetterOrDigit($0) }),
            // Digits alone: `Int64` would take a sign.
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seq = Int64(parts[1])
        else { throw APIError(.invalidCursor) }
        self.init(epoch: String(parts[0]), seq: seq)
    }

    package var text: String { "\(epoch):\(seq)" }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }
}

extension APIError {
    /// A consumer has missed events, or may have: it starts again, and `now` is where the log ends at this moment.
    package static func cursorGone(now: EventCursor) -> APIError {
        APIError(.cursorGone, members: [("resync_cursor", now.text)])
    }
}
