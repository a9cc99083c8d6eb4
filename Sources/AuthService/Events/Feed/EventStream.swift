// One follower's stream.
//
// The position moves forwards with each event, whatever its kind. `caught_up` is sent once, after all events that
// existed at the request.
import Hummingbird
import NIOCore
import ServiceKit
import ServiceLifecycle
import TesseraVerifierHummingbird

struct EventStream: Sendable {
    let feed: EventFeed
    let cursor: EventCursor
    let opening: LogEdges
    let kinds: EventKinds
    /// The one that the request came with.
    let token: AccessTokenClaims?
    let channel: any Channel

    private static let retry = 1000

    @concurrent
    func write(to writer: inout any ResponseBodyWriter) async throws {
        let follower = feed.join(opening, client: token?.clientID, channel: channel)
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
        var reported = seq
        var isCaughtUp = false
        while !follower.hasEnded {
            let entries: [EventFeed.Entry]
            switch feed.take(after: seq, epoch: cursor.epoch) {
            case .over:
                return
            case .behind(let tailStart):
                let batch = try await feed.log.read(after: seq, limit: EventFeed.batchSize)
                guard batch.state.reaches(EventCursor(epoch: cursor.epoch, seq: seq), kinds) else { return }
                entries = batch.events.map { EventFeed.entry($0, epoch: cursor.epoch) }
                // Everything that the tail lacks was in the page.
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
                if reported != seq {
                    // Sends the position after events of other kinds, which may be gone when the consumer returns.
                    var position = ServerSentEvent.position(EventCursor(epoch: cursor.epoch, seq: seq).text)
                    position.writeBuffer(&bytes)
                    bytes = position
                    reported = seq
                }
                try await follower.write(bytes, to: &writer)
            }
            // SECURITY: the event that ends the stream's own token is its last, also if it came between the check of
            // the token and the stream's first read. The next request needs a new token.
            let end = entries.firstIndex { entry in token.map { entry.endsClient?.contain($0) ?? false } ?? false }
            var bytes = ByteBuffer()
            for entry in entries[..<(end.map { $0 + 1 } ?? entries.endIndex)] {
                seq = max(seq, entry.seq)
                guard kinds.contain(entry.kind) else { continue }
                bytes.writeImmutableBuffer(entry.frame)
                reported = entry.seq
            }
            if bytes.readableBytes > 0 { try await follower.write(bytes, to: &writer) }
            if end != nil { return }
            // Whether or not there are newer events: beside a growing log it would never be sent otherwise.
            if !isCaughtUp, seq >= opening.newest {
                isCaughtUp = true
                reported = seq
                try await follower.write(
                    ServerSentEvent.caughtUp(at: EventCursor(epoch: cursor.epoch, seq: seq)),
                    to: &writer
                )
            }
        }
    }
}
