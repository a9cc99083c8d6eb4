// One stream of changes.
//
// It reads, sends, and waits to be woken. `caught_up` comes once, after everything that existed at the request. A
// heartbeat is sent only after a successful read: a node without its database ends the stream instead.
import Hummingbird
import NIOCore
import ServiceKit
import ServiceLifecycle

struct ChangeStream: Sendable {
    let feed: ChangeFeed
    let caller: Caller
    let cursor: EventCursor
    /// The end of the caller's changes at the request.
    let end: EventCursor
    let channel: any Channel
    let isAuthorized: @Sendable () -> Bool

    /// Milliseconds.
    private static let retry = 1000
    private static let batchSize = 256

    @concurrent
    func write(to writer: inout any ResponseBodyWriter) async throws {
        // Too many at the same moment; the client gets the error when it reconnects.
        guard let follower = feed.join(caller.id, channel: channel, isAuthorized: isAuthorized) else { return }
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
        var isCaughtUp = false
        var isHeartbeatDue = false
        while !follower.hasEnded {
            let batch = try await feed.changes.read(after: seq, of: caller.id, limit: Self.batchSize)
            // The rows are gone, or the history is another: a reconnect gets 410. A stream that has caught up reads
            // rows while they are new.
            guard batch.state.epoch == cursor.epoch, isCaughtUp || seq >= batch.state.horizon else { return }
            // SECURITY: nothing is sent if the token ended during the read.
            guard isAuthorized(), !follower.hasEnded else { return }
            if !batch.changes.isEmpty {
                var bytes = ByteBuffer()
                for change in batch.changes { bytes.writeImmutableBuffer(frame(change)) }
                seq = max(seq, batch.changes.last?.seq ?? seq)
                try await follower.write(bytes, to: &writer)
                isHeartbeatDue = false
                if batch.isFull { continue }
            }
            if !isCaughtUp {
                isCaughtUp = true
                seq = max(seq, end.seq)
                try await follower.write(
                    ServerSentEvent.caughtUp(at: EventCursor(epoch: cursor.epoch, seq: seq)),
                    to: &writer
                )
            } else if isHeartbeatDue {
                try await follower.write(ServerSentEvent.comment("heartbeat"), to: &writer)
            }
            let signals = await follower.wait()
            isHeartbeatDue = signals.contains(.heartbeat)
        }
    }

    private func frame(_ change: Change) -> ByteBuffer {
        var json = JSONWriter(reserving: 256)
        change.write(to: &json, epoch: cursor.epoch)
        let place = EventCursor(epoch: cursor.epoch, seq: change.seq).text
        return ServerSentEvent(id: place, name: "change", data: json.string).bytes
    }
}
