// A position in the event log, `epoch:seq`, behind event `seq`.
package struct EventCursor: Sendable, Hashable {
    package let epoch: String
    package let seq: Int64

    package init(epoch: String, seq: Int64) {
        self.epoch = epoch
        self.seq = seq
    }

    /// The log itself checks the epoch.
    package init(_ text: RequestText) throws(APIError) {
        let parts = text.pieces(between: ":", maxSplits: 2, omittingEmpty: false)
        guard parts.count == 2, (1...64).contains(parts[0].byteCount),
            parts[0].utf8.allSatisfy({ Self.isLetterOrDigit($0) }),
            // Digits only: `Int64` would accept a sign.
            parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seq = Int64(parts[1].verbatim)
        else { throw APIError(.invalidCursor) }
        self.init(epoch: parts[0].verbatim, seq: seq)
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
    /// The consumer has missed events, or may have. It restarts, and `now` is the current end of the log.
    package static func cursorGone(now: EventCursor) -> APIError {
        APIError(.cursorGone, members: [("resync_cursor", now.text)])
    }
}
