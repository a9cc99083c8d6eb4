// One follower's stream, from its first byte to its last.
//
// The place moves on with each event, whether its kind was asked for or not, and only forwards. The stream says
// `caught_up` once: when it has sent everything that existed when it was asked for.
import Hummingbird
import NIOCore
import ServiceKit
import ServiceLifecycle

struct EventStream: Sendable {
    let feed: EventFeed
    /// Where the consumer begins.
    let cursor: EventCursor
    /// The log as it was when the consumer asked.
    let opening: EventLogState
    let kinds: EventKinds
    /// Whose token it was asked for with.
    let client: String?
    let channel: any Channel

    /// Milliseconds.
    private static let retry = 1000

    @concurrent
    func write(to writer: inout any ResponseBodyWriter) async throws {
        let follower = feed.join(opening, client: client, channel: channel)
        defer { feed.leave(follower) }
        try await withGracefulShutdownHandler {
            try await follow(follower, &writer)
        } onGracefulShutdown: {
            follower.signal(.end)
        }
    }

    @concurrent
    private func follow(_ follower: EventFollower, _ writer: inout any ResponseBodyWriter) async throws {
        try await follower.write(ServerSentEvent.retry(milliseconds: Self.retry), to: &writer)
        var seq = cursor.seq
        // The last place that the consumer was told.
        var told = seq
        var isCaughtUp = false
        while !follower.hasEnded {
            let entries: [EventFeed.Entry]
            switch feed.take(after: seq, epoch: cursor.epoch) {
            case .over:
                return
            case .behind(let tailStart):
                let batch = try await feed.log.read(after: seq, limit: EventFeed.batch)
                guard batch.state.reaches(EventCursor(epoch: cursor.epoch, seq: seq), kinds) else { return }
                entries = batch.events.map { EventFeed.entry($0, epoch: cursor.epoch) }
                // All of what the tail no longer has, or never had, was there to be read.
                if !batch.isFull { seq = max(tailStart, entries.last?.seq ?? 0) }
            case .entries(let new):
                entries = new
            case .upToDate(let end):
                entries = []
                seq = max(seq, end)
                if !isCaughtUp, seq >= opening.newest { break }
                let signals = await follower.wait()
                guard signals.contains(.heartbeat), !signals.contains(.end) else { continue }
                var bytes = ServerSentEvent.comment("heartbeat")
                if told != seq {
                    // Events of other kinds went by, and may be gone from the log when the consumer comes back.
                    var position = ServerSentEvent.position(EventCursor(epoch: cursor.epoch, seq: seq).text)
                    position.writeBuffer(&bytes)
                    bytes = position
                    told = seq
                }
                try await follower.write(bytes, to: &writer)
            }
            // SECURITY: a client that was disabled is told so, and nothing after it. Its next request is refused.
            let end = entries.firstIndex { $0.seq > opening.newest && $0.endsClient != nil && $0.endsClient == client }
            var bytes = ByteBuffer()
            for entry in entries[..<(end.map { $0 + 1 } ?? entries.endIndex)] {
                seq = max(seq, entry.seq)
                guard kinds.contain(entry.kind) else { continue }
                bytes.writeImmutableBuffer(entry.frame)
                told = entry.seq
            }
            if bytes.readableBytes > 0 { try await follower.write(bytes, to: &writer) }
            if end != nil { return }
            // Whether or not more has come meanwhile: beside a log that always grows it would never be said otherwise.
            if !isCaughtUp, seq >= opening.newest {
                isCaughtUp = true
                told = seq
                try await follower.write(
                    ServerSentEvent.caughtUp(at: EventCursor(epoch: cursor.epoch, seq: seq)),
                    to: &writer
                )
            }
        }
    }
}
