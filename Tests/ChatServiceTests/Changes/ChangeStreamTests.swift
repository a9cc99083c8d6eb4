// The change feed as a stream over a socket: the bytes on the wire, no gap in spite of slow writers, and an end with
// its token (S2, S7).
import ChatService
import Foundation
import HTTPTypes
import HummingbirdTesting
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

@Suite("Streams of changes")
struct ChangeStreamTests {
    @Test("sends what there is, says so once, then each change as it happens", arguments: TestEngine.allCases)
    func story(engine: TestEngine) async throws {
        try await withChat(engine, overSocket: true) { chat in
            _ = try await chat.conversation(#"{"id":"c1"}"#)
            _ = try await chat.conversation(#"{"id":"others"}"#, as: "other")
            let stream = try chat.follow()
            try await eventually("it has caught up") { stream.isCaughtUp }
            let head = stream.head.lowercased()
            #expect(stream.status == 200)
            for line in ["content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"] {
                #expect(head.contains(line), "\(head)")
            }
            #expect(stream.body.hasPrefix("retry: 1000\n\nid: "))
            #expect(stream.events.map(\.name) == ["change", "caught_up"])
            try await chat.append(#"{"id":"m1","role":"user","content":"x"}"#, to: "c1")
            _ = try await chat.conversation(as: "other")
            try await eventually("it is told") { stream.received.count == 3 }
            #expect(
                try stream.received.map { Chat.line(try JSONElement.parse($0.data)) } == [
                    "insert conversation c1 in c1 v1", "update conversation c1 in c1 v2", "insert message m1 in c1 v1",
                ]
            )
            #expect(stream.events.count { $0.name == "caught_up" } == 1)
            // The same JSON as on a page, and never content.
            let page = try await chat.send(.get, "/v1/changes").json
            #expect(stream.received.map(\.data) == page["data"]?.array?.map { $0.raw })
        }
    }

    @Test("a change made through another node arrives without waiting for a heartbeat", .needsPostgres)
    func otherNode() async throws {
        try await withNodes(.postgres, overSocket: true) { chat in
            let stream = try chat.follow(node: 0)
            try await eventually("it has caught up") { stream.isCaughtUp }
            for index in 0..<5 {
                let answer = try await chat.send(.post, "/v1/conversations", #"{"id":"c\#(index)"}"#, node: 1)
                #expect(answer.status == 201)
                // Heartbeats are 15 s apart.
                try await eventually(within: .seconds(14), "it is told") { stream.received.count == index + 1 }
            }
        }
    }

    @Test("a change of another process arrives", arguments: TestEngine.allCases)
    func otherProcess(engine: TestEngine) async throws {
        try await withChat(engine, overSocket: true) { chat in
            _ = try await chat.conversation(#"{"id":"c1"}"#)
            let stream = try chat.follow()
            try await eventually("it has caught up") { stream.isCaughtUp }
            // Bypasses the service, so the node is not notified.
            try await chat.change("UPDATE conversations SET version = version + 1 WHERE id = 'c1'")
            try await eventually(within: .seconds(14), "it is told") { stream.received.count == 2 }
        }
    }

    @Test(
        "never skips: a change whose transaction stays open is told after it, in order",
        arguments: TestEngine.allCases
    )
    func openTransaction(engine: TestEngine) async throws {
        try await withTestDatabase(engine, service: "chat") { test in
            let second = try await test.openAnother()
            do {
                try await withChat(on: test.database, overSocket: true) { chat in
                    _ = try await chat.conversation(#"{"id":"mine"}"#)
                    _ = try await chat.conversation(#"{"id":"others"}"#, as: "other")
                    let stream = try chat.follow()
                    let others = try chat.follow(as: "other")
                    try await eventually("both have caught up") { stream.isCaughtUp && others.isCaughtUp }

                    // Another writer takes its number and does not commit.
                    let isHeld = Mutex(false)
                    let release = Mutex(false)
                    let writing = Task {
                        try await second.holdingTransaction { transaction in
                            try transaction.run(Self.bump("mine"))
                            isHeld.withLock { $0 = true }
                            let deadline = ContinuousClock.now + .seconds(20)
                            while !release.withLock({ $0 }), ContinuousClock.now < deadline {
                                Thread.sleep(forTimeInterval: 0.005)
                            }
                        }
                    }
                    try await eventually("the writer holds") { isHeld.withLock { $0 } }
                    // The same user writes here, behind the open transaction. On PostgreSQL others continue, and their
                    // later numbers become visible first.
                    async let mine = chat.createOnOwnConnection(#"{"id":"later"}"#)
                    if engine == .postgres {
                        let answer = try await chat.send(.post, "/v1/conversations", as: "other", #"{"id":"first"}"#)
                        #expect(answer.status == 201)
                        try await eventually("others are told") { others.received.count == 2 }
                    }
                    let page = try await chat.send(.get, "/v1/changes").json
                    let cursor = try #require(page["next_cursor"]?.string)
                    #expect(stream.received.count == 1)
                    release.withLock { $0 = true }
                    try await writing.value
                    let answer = try await mine
                    #expect(answer.hasPrefix("HTTP/1.1 201 "), "\(answer)")
                    try await eventually("both are told") { stream.received.count == 3 }
                    let expected = ["update conversation mine in mine v2", "insert conversation later in later v1"]
                    #expect(
                        try stream.received.dropFirst().map { Chat.line(try JSONElement.parse($0.data)) } == expected
                    )
                    #expect(stream.received.map(\.seq) == stream.received.map(\.seq).sorted())
                    // The page that was read meanwhile leads to both too.
                    #expect(try await chat.changes(after: cursor) == expected)
                }
            } catch {
                await second.close()
                throw error
            }
            await second.close()
        }
    }

    private static func bump(_ id: String) -> BoundStatement {
        Statement(
            "test.bump",
            .writes,
            ["id": .text],
            "UPDATE conversations SET version = version + 1 WHERE id = :id"
        ).bind(["id": id])
    }

    @Test(
        "who is cut off and comes back with Last-Event-ID has each change once, in order",
        arguments: TestEngine.allCases
    )
    func resume(engine: TestEngine) async throws {
        try await withNodes(engine, overSocket: true) { chat in
            let id = try await chat.conversation()
            let isDone = Mutex(false)
            let wasCutTwice = Mutex(false)
            let written = Mutex(0)
            async let writing: Void = {
                defer { isDone.withLock { $0 = true } }
                _ = try await inParallel(4) { writer in
                    for count in 0..<2500 where count < 25 || !wasCutTwice.withLock({ $0 }) {
                        let body = #"{"role":"tool","content":"x"}"#
                        let answer = try await chat.send(
                            .post,
                            "/v1/conversations/\(id)/messages",
                            body,
                            node: writer
                        )
                        #expect(answer.status == 201)
                        written.withLock { $0 += 1 }
                    }
                }
            }()
            var received: [EventStreamReader.Event] = []
            var lastID: String?
            var streams = 0
            while true {
                let stream = try chat.follow(after: lastID, node: streams)
                streams += 1
                let wasDone = isDone.withLock { $0 }
                try await eventually("it has caught up") { stream.isCaughtUp }
                if !wasDone {
                    try await eventually("it tells more") { stream.received.count > 3 || isDone.withLock { $0 } }
                }
                stream.cut()
                try await eventually("it has ended") { stream.hasEnded }
                received += stream.received
                lastID = stream.lastID ?? lastID
                if streams > 2 { wasCutTwice.withLock { $0 = true } }
                if wasDone { break }
            }
            try await writing
            let all = try await chat.changes()
            #expect(try received.map { Chat.line(try JSONElement.parse($0.data)) } == all)
            #expect(all.count == 1 + written.withLock { $0 })
        }
    }

    @Test("S2, S7: a stream ends when its token expires", arguments: TestEngine.allCases)
    func expiry(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(
            engine,
            clock: clock.clock,
            overSocket: true,
            configure: { $0.changeFeed.timing.tick = .milliseconds(50) }
        ) {
            chat in
            let stream = try chat.follow()
            try await eventually("it has caught up") { stream.isCaughtUp }
            clock.advance(.seconds(700))
            try await eventually("it has ended") { stream.hasEnded }
            _ = try await chat.conversation()
            #expect(stream.received.isEmpty)
            let again = try chat.follow(after: stream.lastID)
            try await eventually("it is told what it missed") { again.received.count == 1 }
        }
    }

    /// Follows two users' changes, and checks that the end of one stream leaves the other.
    private func withEndedStream(
        _ revocations: (any RevocationSource)? = nil,
        by end: @Sendable @escaping (Chat) async throws -> Void,
        _ body:
            @Sendable @escaping (_ chat: Chat, _ ended: EventStreamReader, _ other: EventStreamReader) async throws ->
            Void
    ) async throws {
        try await withChat(
            .sqlite,
            overSocket: true,
            revocations: revocations,
            configure: { $0.changeFeed.timing.tick = .milliseconds(50) }
        ) { chat in
            let stream = try chat.follow()
            let other = try chat.follow(as: "other")
            try await eventually("both have caught up") { stream.isCaughtUp && other.isCaughtUp }
            try await end(chat)
            try await eventually("it has ended") { stream.hasEnded }
            #expect(!other.hasEnded)
            try await body(chat, stream, other)
        }
    }

    @Test("S2, S7: a stream ends when its session is revoked")
    func revocation() async throws {
        let revoked = Revoked()
        try await withEndedStream(revoked, by: { _ in revoked.revoke("s-owner") }) { chat, _, _ in
            let back = try chat.follow()
            try await eventually("it is answered") { back.body.hasSuffix("}") }
            #expect(back.status == 401)
        }
    }

    @Test("S2, S7: a stream ends when its person's role is changed, and a token of the new role opens another")
    func roleChange() async throws {
        let revoked = Revoked()
        try await withEndedStream(revoked, by: { _ in revoked.demand(version: 2, of: "owner") }) {
            chat,
            stream,
            other in
            // Nothing is sent under the old role.
            _ = try await chat.conversation(as: "other")
            try await eventually("the other is told") { other.received.count == 1 }
            #expect(stream.received.isEmpty)
            let back = try chat.follow()
            try await eventually("it is answered") { back.body.hasSuffix("}") }
            #expect(back.status == 401)
            let token = try chat.tokens.token(for: "owner", ["ver": "2", "role": #""premium""#])
            let again = try chat.follow(token: token)
            try await eventually("it has caught up") { again.isCaughtUp }
            #expect(!again.hasEnded)
        }
    }

    @Test("S2, S7: a stream ends when its person is erased on another node, whatever becomes of the token")
    func refusal() async throws {
        let erase = { @Sendable (chat: Chat) async throws in
            for user in ["owner", "other"] { _ = try await chat.conversation(as: user) }
            try await chat.mark("owner", active: true, erasedAt: Clock.system.now())
        }
        try await withEndedStream(by: erase) { _, _, _ in }
    }

    @Test("S12: a person has so many streams and no more, and one that goes makes room")
    func bound() async throws {
        try await withChat(
            .sqlite,
            overSocket: true,
            configure: {
                $0.changeFeed.streamsPerUser = 3
                // A broken stream is noticed by a failed heartbeat.
                $0.changeFeed.timing.heartbeat = .seconds(1)
            }
        ) { chat in
            let streams = try (0..<3).map { _ in try chat.follow() }
            try await eventually("all have caught up") { streams.allSatisfy(\.isCaughtUp) }
            let more = try chat.follow()
            try await eventually("it is answered") { more.body.hasSuffix("}") }
            #expect(more.status == 429)
            #expect(more.body.contains("rate_limited"))
            // Others have their own limit, and pages do not count.
            let other = try chat.follow(as: "other")
            try await eventually("it has caught up") { other.isCaughtUp }
            #expect(try await chat.send(.get, "/v1/changes").status == 200)
            streams[0].cut()
            try await eventually("there is room again") {
                let again = try chat.follow()
                try await eventually("it is answered") { again.isCaughtUp || again.body.hasSuffix("}") }
                return again.status == 200
            }
        }
    }

    @Test("heartbeats come when nothing does, and an old cursor is told 410 before a stream begins")
    func heartbeat() async throws {
        try await withChat(
            .sqlite,
            overSocket: true,
            configure: {
                $0.changeFeed.timing.heartbeat = .milliseconds(200)
                $0.changeFeed.timing.tick = .milliseconds(50)
            }
        ) { chat in
            let stream = try chat.follow()
            try await eventually("heartbeats come") { stream.heartbeats > 2 }
            #expect(stream.received.isEmpty)
            let gone = try chat.follow(after: "0000000000000000:1")
            let bad = try chat.follow(after: "yesterday")
            let nobody = try chat.follow(token: "none")
            try await eventually("all are answered") { [gone, bad, nobody].allSatisfy { $0.body.hasSuffix("}") } }
            #expect([gone, bad, nobody].map(\.status) == [410, 400, 401])
            // A node without its database must not pretend to be current.
            await chat.database.close()
            try await eventually("it has ended") { stream.hasEnded }
        }
    }
}

extension Chat {
    /// Uses its own connection, because the test client's wait for each other.
    fileprivate func createOnOwnConnection(_ json: String) async throws -> String {
        let connection = try RawConnection(port: try #require(nodes[0].port))
        try connection.send(
            """
            POST /v1/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\
            Authorization: Bearer \(try tokens.token(for: "owner"))\r\nContent-Type: application/json\r\n\
            Content-Length: \(json.utf8.count)\r\n\r\n\(json)
            """
        )
        return try await connection.receiveUntilClosed(within: .seconds(30))
    }
}

/// Revoked sessions, and minimum versions of a user's tokens, as after a change of role.
private final class Revoked: RevocationSource {
    private let state = Mutex((sessions: Set<String>(), versions: [String: Int64]()))

    func revoke(_ session: String) { state.withLock { _ = $0.sessions.insert(session) } }

    func demand(version: Int64, of user: String) { state.withLock { $0.versions[user] = version } }

    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let (sessions, versions) = state.withLock { ($0.sessions, $0.versions) }
        if let session = claims.sessionID, sessions.contains(session) { throw VerificationError(.revoked) }
        if let least = versions[claims.subject], (claims.userVersion ?? .min) < least {
            throw VerificationError(.stale, claim: "ver")
        }
    }
}

extension Chat {
    func follow(
        as user: String = "owner",
        token: String? = nil,
        after lastID: String? = nil,
        node: Int = 0
    ) throws -> EventStreamReader {
        let port = try #require(nodes[node % nodes.count].port)
        return try EventStreamReader(
            port: port,
            path: "/v1/changes",
            token: try token ?? tokens.token(for: user),
            lastEventID: lastID
        )
    }
}
