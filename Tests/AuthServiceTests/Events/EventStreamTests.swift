// The revocation feed as a stream over a socket: the bytes on the wire, and no unreported gap for a consumer that
// reconnects, is slow, or asks a node without its log.
import AuthService
import HTTPTypes
import HummingbirdTesting
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Streams of the event feed")
struct EventStreamTests {
    @Test("sends what there is, says so once, then each event as it happens", arguments: TestEngine.allCases)
    func story(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            let ada = try await node.signUp()
            let stream = try await node.follow()
            try await eventually("the stream has caught up") { stream.isCaughtUp }
            let head = stream.head.lowercased()
            #expect(stream.status == 200)
            for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
                #expect(head.contains(line), "\(head)")
            }
            #expect(stream.body.hasPrefix("retry: 1000\n\nid: "))
            let epoch = try await node.service.epochs.current()
            #expect(stream.events.map(\.name) == ["user.created", "caught_up"])
            #expect(stream.events.last?.data == #"{"cursor":"\#(epoch):1"}"#)
            #expect(stream.events.last?.id == "\(epoch):1")

            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            try await node.revokeAll(of: ada.userID)
            try await eventually("both events are told") { stream.received.count == 3 }
            #expect(stream.received.map(\.name) == ["user.created", "session.revoked", "user.tokens_revoked"])
            #expect(stream.events.count { $0.name == "caught_up" } == 1)
            let page = try await node.feed()
            #expect(stream.received.map(\.data) == page.json["data"]?.array?.map { $0.raw })
            #expect(stream.received.map(\.id) == page.json["data"]?.array?.map { $0["id"]?.string })
        }
    }

    @Test("a refusal of a stream is an answer like any other")
    func refusals() async throws {
        try await withConfiguredNode(.sqlite, overSocket: true) { node in
            let ada = try await node.signUp()
            let port = try #require(node.client.port)
            let epoch = try await node.service.epochs.current()
            let user = try EventStreamReader(port: port, token: ada.access)
            let gone = try await node.follow(after: "\(epoch):99")
            let other = try await node.follow("?after=\(epoch):1", after: "0000000000000000:1")
            let bad = try await node.follow(after: "yesterday")
            try await eventually("all are answered") { [user, gone, other, bad].allSatisfy { $0.body.hasSuffix("}") } }
            #expect([user, gone, other, bad].map(\.status) == [403, 410, 410, 400])
            #expect(gone.body.contains(#""resync_cursor":"\#(epoch):1""#), "\(gone.body)")
            // A weight, and other types beside it.
            let answer = try await node.send(
                .get,
                "/v1/events?after=\(epoch):99",
                token: try await node.serviceToken(),
                headers: [.accept: "application/json, Text/Event-Stream;q=0.5"]
            )
            #expect(answer.code == "cursor_gone")
        }
    }

    @Test(
        "who is cut off again and again and comes back with Last-Event-ID has each event once, in order",
        arguments: TestEngine.allCases
    )
    func resume(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            let ada = try await node.signUp()
            let isDone = Mutex(false)
            let wasCutTwice = Mutex(false)
            async let writing: Void = {
                defer { isDone.withLock { $0 = true } }
                for count in 0..<10_000 where count < 150 || !wasCutTwice.withLock({ $0 }) {
                    try await node.revokeAll(of: ada.userID)
                }
            }()
            var received: [EventStreamReader.Event] = []
            var lastID: String?
            var streams = 0
            while true {
                // The URL stays the same, as with a browser's EventSource; the header wins.
                let stream = try await node.follow("?since=1h", after: lastID)
                streams += 1
                let wasDone = isDone.withLock { $0 }
                try await eventually("the stream has caught up") { stream.isCaughtUp }
                if !wasDone {
                    try await eventually("it tells more") { stream.received.count > 3 || isDone.withLock { $0 } }
                }
                stream.cut()
                try await eventually("it has ended") { stream.hasEnded }
                received += stream.received
                lastID = stream.lastID
                if streams > 2 { wasCutTwice.withLock { $0 = true } }
                if wasDone { break }
            }
            try await writing
            #expect(received.map(\.seq) == (try await node.allEvents()))
        }
    }

    @Test("kinds choose; heartbeats come when nothing does, and move the place past what was not chosen")
    func heartbeat() async throws {
        try await withConfiguredNode(
            .sqlite,
            overSocket: true,
            {
                $0.eventFeed.heartbeat = .milliseconds(300)
                $0.eventFeed.tick = .milliseconds(50)
            }
        ) { node in
            let ada = try await node.signUp()
            let stream = try await node.follow("?kinds=user.deleted")
            let all = try await node.follow()
            try await eventually("heartbeats come") { stream.heartbeats > 1 && all.heartbeats > 1 }
            for _ in 0..<3 { try await node.revokeAll(of: ada.userID) }
            let newest = try #require(try await node.allEvents().last)
            try await eventually("the place moves on") { stream.lastID?.hasSuffix(":\(newest)") == true }
            #expect(stream.received == [])
            try await eventually("the other is told all") { all.received.count == 4 }
            // Only an event, a heartbeat, a position or the first line is ever sent.
            let forms = /retry: 1000|: heartbeat|id: [0-9a-f]+:[0-9]+|id: .*\nevent: .*\ndata: .*/
            for text in [stream.body, all.body] {
                for block in text.split(separator: "\n\n") { #expect(block.wholeMatch(of: forms) != nil, "\(block)") }
            }
        }
    }

    @Test("a new epoch ends every stream, and who comes back is told", arguments: TestEngine.allCases)
    func newEpoch(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            _ = try await node.signUp()
            let streams = [try await node.follow(), try await node.follow("?since=1h")]
            try await eventually("both have caught up") { streams.allSatisfy(\.isCaughtUp) }
            _ = try await node.service.recovery.begin(after: .restore)
            try await eventually("both have ended") { streams.allSatisfy(\.hasEnded) }
            #expect(streams.allSatisfy { !$0.body.contains("all.tokens_revoked") })
            let back = try await node.follow(after: streams[0].lastID)
            try await eventually("it is answered") { back.body.hasSuffix("}") }
            #expect(back.status == 410)
            // Reconnects to the new epoch.
            let again = try await node.follow("?since=1h")
            try await eventually("it has caught up") { again.isCaughtUp }
            #expect(again.received.map(\.name) == ["user.created", "all.tokens_revoked"])
        }
    }

    @Test("a log that lost its end ends every stream", arguments: TestEngine.allCases)
    func rewind(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            let ada = try await node.signUp()
            let stream = try await node.follow()
            try await node.revokeAll(of: ada.userID)
            try await eventually("both events are told") { stream.received.count == 2 }
            try await node.execute("DELETE FROM events WHERE seq = 2")
            try await eventually("the stream has ended") { stream.hasEnded }
            let back = try await node.follow(after: stream.lastID)
            try await eventually("it is answered") { back.body.hasSuffix("}") }
            #expect(back.status == 410)
        }
    }

    @Test("a node that cannot read the log stops vouching for it, and then ends its streams")
    func blind() async throws {
        let fails = Switch()
        try await withConfiguredNode(
            .sqlite,
            overSocket: true,
            failing: fails,
            {
                $0.eventFeed.heartbeat = .milliseconds(200)
                $0.eventFeed.tick = .milliseconds(50)
                $0.eventFeed.heartbeatMaxLag = .milliseconds(2500)
                $0.eventFeed.closeAfterLag = .milliseconds(4000)
            }
        ) { node in
            _ = try await node.signUp()
            let stream = try await node.follow()
            try await eventually("heartbeats come") { stream.heartbeats > 2 }
            fails.turnOn()
            let before = stream.heartbeats
            try await eventually("the stream has ended") { stream.hasEnded }
            // About 2.5 s of heartbeats after the last successful read, not four.
            #expect(stream.heartbeats - before < 30, "\(stream.heartbeats)")
            fails.turnOff()
            let back = try await node.follow(after: stream.lastID)
            try await eventually("it has caught up") { back.isCaughtUp }
        }
    }

    @Test("a stream ends at its age, and its consumer goes on with a new one")
    func lifetime() async throws {
        try await withConfiguredNode(
            .sqlite,
            overSocket: true,
            {
                $0.eventFeed.lifetime = .seconds(4)
                $0.eventFeed.tick = .milliseconds(50)
            }
        ) { node in
            let ada = try await node.signUp()
            let stream = try await node.follow()
            try await eventually("the stream has ended") { stream.hasEnded }
            #expect(stream.isCaughtUp)
            try await node.revokeAll(of: ada.userID)
            let next = try await node.follow(after: stream.lastID)
            try await eventually("it has caught up") { next.isCaughtUp }
            #expect(next.received.map(\.seq) == [2])
        }
    }

    @Test("a reader that takes nothing holds up nobody, and reads on without a hole", arguments: TestEngine.allCases)
    func slowReader(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            _ = try await node.signUp()
            let slow = try await node.follow(reads: false)
            let fast = try await node.follow()
            try await eventually("the fast one has caught up") { fast.isCaughtUp }
            // More than the tail and all buffers hold: the slow one falls behind and reads by itself.
            for _ in 0..<3 { try await node.makeEvents(3000, padding: 500) }
            try await eventually(within: .seconds(150), "the fast one has all of it") {
                fast.lastID?.hasSuffix(":9001") == true
            }
            #expect(!slow.hasEnded)
            slow.resume()
            try await eventually(within: .seconds(150), "the slow one has all of it") {
                slow.lastID?.hasSuffix(":9001") == true
            }
            #expect(slow.received.map(\.seq) == Array(1...9001))
            #expect(fast.received.map(\.seq) == Array(1...9001))
        }
    }

    @Test("a reader that takes nothing for too long is cut off")
    func stuckReader() async throws {
        try await withConfiguredNode(
            .sqlite,
            overSocket: true,
            {
                $0.eventFeed.writeTimeout = .milliseconds(300)
                $0.eventFeed.tick = .milliseconds(50)
            }
        ) { node in
            _ = try await node.signUp()
            let stuck = try await node.follow(reads: false)
            try await eventually("it follows") { node.service.followers == 1 }
            for _ in 0..<4 { try await node.makeEvents(3000, padding: 1000) }
            try await eventually("it follows no more") { node.service.followers == 0 }
            stuck.resume()
            try await eventually("it was cut off") { stuck.hasEnded }
            #expect(stuck.received.count < 12_001)
            // The part so far is whole and in order; the rest follows.
            #expect(stuck.received.map(\.seq) == Array(1...Int64(stuck.received.count)))
        }
    }

    @Test("a stream that begins far back reads pages, then follows, without a seam", arguments: TestEngine.allCases)
    func farBack(engine: TestEngine) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            let ada = try await node.signUp()
            try await node.makeEvents(2500)
            async let writing: Void = {
                for _ in 0..<40 { try await node.revokeAll(of: ada.userID) }
            }()
            let streams = [
                try await node.follow(), try await node.follow("?since=1h"),
                try await node.follow("?kinds=user.tokens_revoked"),
            ]
            try await writing
            let all = try await node.allEvents()
            #expect(all.count == 2541)
            try await eventually("each has told all") {
                streams[0].received.count >= 2541 && streams[1].received.count >= 2541
                    && streams[2].received.count >= 40
            }
            #expect(streams[0].received.map(\.seq) == all)
            #expect(streams[1].received.map(\.seq) == all)
            #expect(streams[2].received.map(\.seq) == all.suffix(40))
        }
    }

    @Test(
        "a client that is disabled, removed or loses a scope is told so by its open streams, which end; others go on",
        arguments: TestEngine.allCases,
        ["disabled", "removed", "narrowed"]
    )
    func endedClient(engine: TestEngine, how: String) async throws {
        try await withConfiguredNode(engine, overSocket: true) { node in
            let ada = try await node.signUp()
            let (leaving, staying) = (try await node.makeClient("leaving"), try await node.makeClient("staying"))
            let token = try await node.serviceToken(leaving)
            let port = try #require(node.client.port)
            let own = try EventStreamReader(port: port, token: token)
            // It subscribed to no client events, and is ended all the same.
            let others = try EventStreamReader(port: port, path: "/v1/events?kinds=user.deleted", token: token)
            let another = try EventStreamReader(port: port, token: try await node.serviceToken(staying))
            let all = [own, others, another]
            try await eventually("all have caught up") { all.allSatisfy(\.isCaughtUp) }
            if how == "removed" {
                try await node.service.clients.delete("leaving", actor: nil, from: .commandLine)
            } else {
                var change = ClientChange()
                if how == "disabled" { change.isDisabled = true } else { change.scopes = ["events"] }
                _ = try await node.service.clients.update("leaving", change, actor: nil, from: .commandLine)
            }
            try await node.revokeAll(of: ada.userID)
            try await eventually("the client's streams have ended") { own.hasEnded && others.hasEnded }
            #expect(own.received.map(\.name) == ["user.created", "client.tokens_revoked"], "and nothing after it")
            #expect(others.received == [])
            try await eventually("the other client is told all") { another.received.count == 3 }
            #expect(another.received.map(\.name) == ["user.created", "client.tokens_revoked", "user.tokens_revoked"])
            #expect(!another.hasEnded)
            let back = try EventStreamReader(port: port, token: token, lastEventID: own.lastID)
            try await eventually("it is answered") { back.body.hasSuffix("}") }
            #expect(back.status == 401, "\(back.body)")
            try await eventually("one is left") { node.service.followers == 1 }
        }
    }
}

final class Switch: Sendable {
    private let state = Mutex(false)

    var isOn: Bool { state.withLock { $0 } }
    func turnOn() { state.withLock { $0 = true } }
    func turnOff() { state.withLock { $0 = false } }
}
