import HTTPTypes
import Hummingbird
import Metrics
import NIOCore
import NIOEmbedded
import ServiceKit
import Synchronization
import Testing

@Suite("Streams of a feed")
struct StreamMembersTests {
    private let timing = EventFeedTiming()
    private let start = ContinuousClock.now

    private func members(limit: Int = .max, perOwner: Int = .max) -> StreamMembers {
        StreamMembers(
            limit: limit,
            limitPerOwner: perOwner,
            lifetime: timing.lifetime,
            gauge: Gauge(label: "test_followers")
        )
    }

    @Test("there is room up to the limits of an owner and of all, and again when a stream has left")
    func limits() {
        var members = members(limit: 3, perOwner: 2)
        let first = members.add("ada", channel: NIOAsyncTestingChannel())
        #expect(members.hasRoom(for: "ada"))
        _ = members.add("ada", channel: NIOAsyncTestingChannel())
        #expect(!members.hasRoom(for: "ada"))
        #expect(members.hasRoom(for: "grace"))
        _ = members.add("grace", channel: NIOAsyncTestingChannel())
        #expect(!members.hasRoom(for: "grace"))
        for _ in 0..<2 { members.remove(first) }
        #expect(members.count == 2)
        #expect(members.hasRoom(for: "ada") && members.hasRoom(for: "grace"))
    }

    @Test("streams are found by their owner, and are gone with all")
    func owners() {
        var members = members()
        let ada = members.add("ada", channel: NIOAsyncTestingChannel())
        let grace = members.add("grace", channel: NIOAsyncTestingChannel())
        #expect(members.of("ada").map { $0 === ada } == [true])
        #expect(members.of("nobody").isEmpty)
        #expect(members.all.count == 2)
        #expect(members.removeAll().count == 2)
        #expect(members.count == 0 && members.all.isEmpty)
        // A removed follower is not counted twice.
        members.remove(grace)
        #expect(members.count == 0)
    }

    @Test("a heartbeat is due when nothing was written for so long, unless it would not be true")
    func heartbeat() async {
        var members = members()
        let follower = members.add("ada", channel: NIOAsyncTestingChannel())
        members.all.tick(at: start, timing)
        members.all.tick(at: start + timing.heartbeat * 2, timing, heartbeats: false)
        members.all.signal(.events)
        #expect(await follower.wait() == .events)
        members.all.tick(at: start + timing.heartbeat * 2, timing)
        #expect(await follower.wait() == .heartbeat)
    }

    @Test("a stream ends with its lifetime, and when it would not be admitted any more")
    func ends() async {
        var members = members()
        let isAuthorized = Mutex(true)
        let old = members.add("ada", channel: NIOAsyncTestingChannel())
        members.all.tick(at: start + timing.lifetime * 2, timing, heartbeats: false)
        #expect(await old.wait() == .end)
        let revoked = members.add("ada", channel: NIOAsyncTestingChannel()) { isAuthorized.withLock { $0 } }
        [revoked].tick(at: start, timing)
        #expect(!revoked.hasEnded)
        isAuthorized.withLock { $0 = false }
        [revoked].tick(at: start, timing)
        #expect(revoked.hasEnded)
    }

    @Test("a reader that takes nothing for so long is cut off")
    func stalled() async throws {
        var members = members()
        let channel = NIOAsyncTestingChannel()
        let follower = members.add("ada", channel: channel)
        let gate = Gate()
        let writing = Task {
            var writer: any ResponseBodyWriter = StuckWriter(gate: gate)
            try await follower.write(ByteBuffer(string: "x"), to: &writer)
        }
        await gate.untilReached()
        members.all.tick(at: .now, timing)
        #expect(!follower.hasEnded)
        members.all.tick(at: .now + timing.writeTimeout, timing)
        #expect(follower.hasEnded)
        gate.open()
        try await writing.value
        try await channel.closeFuture.get()
    }

    private struct StuckWriter: ResponseBodyWriter {
        let gate: Gate

        mutating func write(_ buffer: ByteBuffer) async throws { await gate.pass() }
        consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
    }

    private final class Gate: Sendable {
        private let reached = AsyncStream.makeStream(of: Void.self)
        private let opened = AsyncStream.makeStream(of: Void.self)

        func pass() async {
            reached.continuation.finish()
            for await _ in opened.stream {}
        }
        func untilReached() async { for await _ in reached.stream {} }
        func open() { opened.continuation.finish() }
    }
}
