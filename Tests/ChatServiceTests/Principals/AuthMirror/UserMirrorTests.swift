// Auth's events about users take effect once, whichever node reads them and however often.
import HTTPTypes
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import ChatService

@Suite("The mirror of auth's users")
struct UserMirrorTests {
    @Test("name and picture come with the events; what an event does not say stays", arguments: TestEngine.allCases)
    func profile(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            let mirror = chat.mirror(feed)
            try await chat.create()
            feed.tell("user.created", "owner", #""name":"Ada","avatar_url":null"#)
            feed.tell("user.created", "newcomer", #""name":"Grace \"Amazing\" Hopper","avatar_url":null"#)
            try await mirror.readAll()
            #expect(try await chat.principal("owner")?.text("display_name") == "Ada")
            #expect(try await chat.principal("newcomer")?.text("display_name") == #"Grace "Amazing" Hopper"#)
            feed.tell("user.updated", "owner", #""avatar_url":"https://example.com/a.png""#)
            feed.tell("user.updated", "owner")
            try await mirror.readAll()
            let row = try #require(try await chat.principal("owner"))
            #expect(try row.text("display_name") == "Ada")
            #expect(try row.text("avatar_url") == "https://example.com/a.png")
            feed.tell("user.updated", "owner", #""name":null"#)
            try await mirror.readAll()
            #expect(try await chat.principal("owner")?.optionalText("display_name") == nil)
            // The first request of a new user keeps the existing row.
            try await chat.create(as: "newcomer")
            #expect(try await chat.principal("newcomer")?.text("display_name") == #"Grace "Amazing" Hopper"#)
        }
    }

    @Test("a guest who became a user keeps everything, the name too", arguments: TestEngine.allCases)
    func upgrade(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let guest = try chat.tokens.token(for: "owner", ["kind": #""guest""#])
            let made = try await chat.send(
                .post,
                "/v1/conversations",
                as: nil,
                #"{"id":"c","messages":[{"role":"user","content":"x"}]}"#,
                headers: [.authorization: "Bearer \(guest)"]
            )
            #expect(made.status == 201)
            #expect(try await chat.principal("owner")?.text("kind") == "guest")
            let feed = ScriptedUserEvents()
            feed.tell("user.updated", "owner", #""name":"Ada""#)
            try await chat.mirror(feed).readAll()
            #expect(try await chat.principal("owner")?.text("kind") == "guest")
            try await chat.append(#"{"role":"user","content":"y"}"#, to: "c")
            #expect(try await chat.principal("owner")?.text("kind") == "user")
            #expect(try await chat.principal("owner")?.text("display_name") == "Ada")
            try await chat.expectSound("c", count: 2)
        }
    }

    @Test("deactivated is refused, reactivated is not", arguments: TestEngine.allCases)
    func activity(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            let blocked = BlockedPrincipals()
            let mirror = chat.mirror(feed, blocked)
            let id = try await chat.conversation()
            feed.tell("user.deactivated", "owner")
            feed.tell("user.deactivated", "never-seen")
            try await mirror.readAll()
            #expect(blocked.contains("owner"))
            for user in ["owner", "never-seen"] {
                let answer = try await chat.send(.post, "/v1/conversations", as: user, "{}")
                #expect(answer.status == 403 && answer.code == "user_inactive")
            }
            feed.tell("user.reactivated", "owner")
            feed.tell("user.reactivated", "never-seen")
            try await mirror.readAll()
            #expect(!blocked.contains("owner"))
            try await chat.append(#"{"role":"user","content":"x"}"#, to: id)
            try await chat.create(as: "never-seen")
        }
    }

    @Test("a reactivation lets nobody in who was erased here", arguments: TestEngine.allCases)
    func erasedAndReactivated(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            let blocked = BlockedPrincipals()
            let mirror = chat.mirror(feed, blocked)
            for user in ["owner", "other"] { try await chat.create(as: user) }
            _ = try await chat.erasures.erase("owner", .admin, by: "admin")
            blocked.set("owner", isBlocked: true)
            for user in ["owner", "other"] {
                feed.tell("user.deactivated", user)
                feed.tell("user.reactivated", user)
            }
            try await mirror.readAll()
            #expect(blocked.contains("owner"))
            #expect(!blocked.contains("other"))
            // A node that only receives the deactivation refuses too.
            feed.tell("user.deactivated", "owner")
            feed.tell("user.deactivated", "other")
            try await mirror.readAll()
            #expect(blocked.contains("owner") && blocked.contains("other"))
        }
    }

    @Test(
        "deleted is erased, and so is somebody who never came; a token still alive brings nothing back",
        arguments: TestEngine.allCases
    )
    func deleted(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            let mirror = chat.mirror(feed)
            try await chat.create(#"{"messages":[{"role":"user","content":"x"}]}"#)
            feed.tell("user.created", "owner", #""name":"Ada""#)
            feed.tell("user.deleted", "owner")
            feed.tell("user.deleted", "never-seen")
            // Later in the log than the deletion it follows, and in the other pass.
            feed.tell("user.updated", "owner", #""name":"Ada""#)
            try await mirror.readAll()
            #expect(try await chat.principal("owner")?.optionalText("display_name") == nil)
            for user in ["owner", "never-seen"] {
                #expect(try await chat.send(.post, "/v1/conversations", as: user, "{}").code == "user_inactive")
            }
            #expect(try await chat.erasures.finishOpen() == 2)
            let receipt = try #require(try await chat.erasures.receipt(of: "owner"))
            #expect(receipt.reason == "user_deleted" && receipt.count("messages") == 1)
            #expect(try await chat.rows(of: "owner") == [0, 0])
        }
    }

    @Test("two nodes that read at once have each effect once", arguments: TestEngine.allCases)
    func exactlyOnce(engine: TestEngine) async throws {
        try await withNodes(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            // Shows an effect that is applied twice: names in the order of the log.
            for n in 1...350 {
                feed.tell(n == 1 ? "user.created" : "user.updated", "u-\(n % 7)", #""name":"\#(n)""#)
                if n.isMultiple(of: 50) { feed.tell("user.deleted", "d-\(n)") }
            }
            _ = try await inParallel(4) { _ in try await chat.mirror(feed).readAll() }
            for user in 0..<7 {
                let last = (1...350).last { $0 % 7 == user } ?? 0
                #expect(try await chat.principal("u-\(user)")?.text("display_name") == "\(last)")
            }
            let erasures = Statement("test.erasures", .reads, "SELECT COUNT(*) AS n FROM erasures")
            #expect(try await chat.database.run(erasures.bind()).first?.integer("n") == 7)
            // Everything again from the beginning, as after a restore of auth: no second erasure.
            _ = try await chat.erasures.finishOpen()
            let before = try await chat.erasures.receipt(of: "d-50")
            let reset = Statement("test.reset", .writes, "UPDATE auth_feed SET cursor = ''")
            _ = try await chat.database.run(reset.bind())
            try await chat.mirror(feed).readAll()
            #expect(try await chat.database.run(erasures.bind()).first?.integer("n") == 7)
            #expect(try await chat.erasures.receipt(of: "d-50")?.completedAt == before?.completedAt)
        }
    }

    @Test("a page that another node took in the meantime has no effect here", arguments: TestEngine.allCases)
    func overtaken(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            feed.tell("user.updated", "owner", #""name":"first""#)
            let slow = ScriptedUserEvents()
            slow.copy(feed)
            // Between the slow node's read and its transaction, another node finishes this page and the next.
            slow.beforeAnswer = {
                feed.tell("user.updated", "owner", #""name":"second""#)
                try await chat.mirror(feed).readAll()
            }
            _ = try await chat.mirror(slow).follow(.profiles)
            #expect(try await chat.principal("owner")?.text("display_name") == "second")
        }
    }

    @Test("it goes on where it was after either side was away", arguments: TestEngine.allCases)
    func resumed(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            feed.tell("user.created", "owner", #""name":"Ada""#)
            try await chat.mirror(feed).readAll()
            // auth is down: an error, and the cursor stays.
            feed.fail(with: EventPages.Failure.status(503))
            feed.tell("user.deactivated", "owner")
            await #expect(throws: EventPages.Failure.self) { try await chat.mirror(feed).readAll() }
            #expect(try await chat.principal("owner")?.boolean("is_active") == true)
            feed.fail(with: nil)
            try await chat.mirror(feed).readAll()
            #expect(try await chat.principal("owner")?.boolean("is_active") == false)
            #expect(feed.asked.contains("profiles e:1"))
        }
    }

    @Test(
        "a place that is gone: deletions are read from the beginning, and nobody stays locked out",
        arguments: TestEngine.allCases
    )
    func cursorGone(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let feed = ScriptedUserEvents()
            try await chat.create()
            feed.tell("user.deactivated", "owner")
            feed.tell("user.deactivated", "still-off")
            feed.tell("user.deleted", "gone")
            try await chat.mirror(feed).readAll()
            // Down for so long that the reactivation is gone from the log; deletions are permanent.
            feed.tell("user.reactivated", "owner")
            feed.forget(kinds: ["user.deactivated", "user.reactivated"])
            feed.horizon = 4
            feed.tell("user.deactivated", "still-off")
            feed.tell("user.deleted", "gone-meanwhile")
            try await chat.mirror(feed).readAll()
            try await chat.create()
            #expect(try await chat.principal("still-off")?.boolean("is_active") == false)
            #expect(try await chat.principal("gone-meanwhile")?.optionalInstant("erased_at") != nil)
            #expect(try await chat.principal("gone")?.optionalInstant("erased_at") != nil)

            // A restored auth: a new epoch for both passes.
            feed.beginEpoch("f")
            feed.tell("user.deleted", "gone")
            feed.tell("user.deleted", "later")
            try await chat.mirror(feed).readAll()
            #expect(try await chat.principal("later")?.optionalInstant("erased_at") != nil)
            let erasures = Statement("test.erasures", .reads, "SELECT COUNT(*) AS n FROM erasures")
            #expect(try await chat.database.run(erasures.bind()).first?.integer("n") == 3)
        }
    }

    @Test("an event that cannot be understood stops the reader before it; kinds it does not know do not")
    func notUnderstood() throws {
        func page(_ events: String) throws -> UserEventPage {
            try UserEventPage(json: Array(#"{"data":[\#(events)],"next_cursor":"e:1","has_more":false}"#.utf8))
        }
        let at = #""at":"2026-11-21T04:30:00.123456Z""#
        #expect(try page(#"{"kind":"user.flew",\#(at),"data":{}}"#).events.isEmpty)
        #expect(try page(#"{"kind":"user.deleted",\#(at),"data":{"user_id":"u"}}"#).events.count == 1)
        for bad in [
            #"{"kind":"user.deleted",\#(at),"data":{}}"#, #"{"kind":"user.deleted","data":{"user_id":"u"}}"#,
            #"{"kind":"user.deleted",\#(at),"data":{"user_id":"../u"}}"#, #"{"kind":7}"#, "7",
        ] {
            #expect(throws: (any Error).self, "\(bad)") { try page(bad) }
        }
        #expect(throws: (any Error).self) { try UserEventPage(json: Array("{}".utf8)) }
    }
}

extension Chat {
    func mirror(_ source: any UserEventSource, _ blocked: BlockedPrincipals = BlockedPrincipals()) -> UserMirror {
        let erasures = erasures
        return UserMirror(
            database: database,
            source: source,
            beginErasure: { erasures.begin(of: $0, reason: .userDeleted, by: nil, at: $1) },
            blocked: blocked,
            clock: .system,
            ids: IDGenerator(.system),
            logger: .quiet
        )
    }
}

extension UserMirror {
    func readAll() async throws {
        for selection in FeedSelection.allCases { while try await follow(selection) {} }
    }
}

final class ScriptedUserEvents: UserEventSource {
    private struct Event {
        let seq: Int
        let kind: String
        let json: String
    }

    private struct State {
        var epoch = "e"
        var last = 0
        var horizon = 0
        var events: [Event] = []
        var failure: EventPages.Failure?
        var asked: [String] = []
        var beforeAnswer: (@Sendable () async throws -> Void)?
    }

    private let state = Mutex(State())

    var asked: [String] { state.withLock { $0.asked } }
    /// Events up to this number may be gone.
    var horizon: Int {
        get { state.withLock { $0.horizon } }
        set { state.withLock { $0.horizon = newValue } }
    }
    var beforeAnswer: (@Sendable () async throws -> Void)? {
        get { state.withLock { $0.beforeAnswer } }
        set { state.withLock { $0.beforeAnswer = newValue } }
    }

    func tell(_ kind: String, _ user: String, _ more: String = "") {
        state.withLock { state in
            state.last += 1
            let data = #"{"user_id":"\#(user)"\#(more.isEmpty ? "" : "," + more)}"#
            let json = """
                {"id":"\(state.epoch):\(state.last)","at":"2026-11-21T04:30:00.000000Z","kind":"\(kind)",\
                "user_id":"\(user)","session_id":null,"data":\(data)}
                """
            state.events.append(Event(seq: state.last, kind: kind, json: json))
        }
    }

    func copy(_ other: ScriptedUserEvents) {
        let (events, last) = other.state.withLock { ($0.events, $0.last) }
        state.withLock { ($0.events, $0.last) = (events, last) }
    }

    func fail(with failure: EventPages.Failure?) { state.withLock { $0.failure = failure } }

    func forget(kinds: Set<String>) { state.withLock { $0.events.removeAll { kinds.contains($0.kind) } } }

    func beginEpoch(_ name: String) {
        state.withLock { state in
            (state.epoch, state.last, state.horizon, state.events) = (name, 0, 0, [])
        }
    }

    func page(after cursor: String?, kinds: [String], limit: Int) async throws -> UserEventPage {
        let (json, before) = try state.withLock { state -> (String, (@Sendable () async throws -> Void)?) in
            state.asked.append("\(kinds.count == 1 ? "deletions" : "profiles") \(cursor ?? "-")")
            if let failure = state.failure { throw failure }
            let isPermanent = kinds == ["user.deleted"]
            var seq = isPermanent ? 0 : state.horizon
            if let cursor {
                let parts = cursor.split(separator: ":")
                guard parts.count == 2, parts[0] == state.epoch, let number = Int(parts[1]), number <= state.last,
                    isPermanent || number >= state.horizon
                else { throw EventPages.Failure.cursorGone }
                seq = number
            }
            let found = state.events.filter { $0.seq > seq && kinds.contains($0.kind) }
            let events = found.prefix(limit)
            let hasMore = found.count > limit
            let next = hasMore ? events.last?.seq ?? seq : max(seq, state.last)
            let data = events.map(\.json).joined(separator: ",")
            return (
                #"{"data":[\#(data)],"next_cursor":"\#(state.epoch):\#(next)","has_more":\#(hasMore)}"#,
                state.beforeAnswer
            )
        }
        try await before?()
        return try UserEventPage(json: Array(json.utf8))
    }
}
