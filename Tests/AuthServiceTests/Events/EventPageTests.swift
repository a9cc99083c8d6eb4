import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Pages of the event feed")
struct EventPageTests {
    @Test("is read with a service's token that has the scope, and with nothing else", arguments: TestEngine.allCases)
    func access(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            #expect(try await node.send(.get, "/v1/events").status == 401)
            let other = try await node.serviceToken("introspect other")
            for token in [ada.access, other] {
                let refused = try await node.feed(token: token)
                #expect(refused.status == 403)
                #expect(refused.code == "insufficient_scope")
                #expect(
                    refused.headers[.wwwAuthenticate]
                        == #"Bearer realm="tessera", error="insufficient_scope", scope="events""#
                )
            }
            let both = try await node.serviceToken("introspect events")
            let page = try await node.feed(token: both)
            #expect(page.status == 200)
            #expect(page.headers[.cacheControl] == "no-store")
            #expect(try await node.me(both).status == 401)
        }
    }

    @Test(
        "pages follow each other without gap or repetition, and the last one says where to go on",
        arguments: TestEngine.allCases
    )
    func pages(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let token = try await node.serviceToken()
            let empty = try await node.feed(token: token)
            #expect(empty.json["data"]?.array?.count == 0)
            #expect(empty.json["has_more"]?.boolean == false)
            let start = try #require(empty.json["next_cursor"]?.string)
            #expect(start.hasSuffix(":0"))

            let ada = try await node.signUp()
            for _ in 0..<24 { try await node.revokeAll(of: ada.userID) }
            var cursor = start
            var seen: [String] = []
            var sizes: [Int] = []
            while true {
                let page = try await node.feed("?after=\(cursor)&limit=10", token: token)
                let events = try #require(page.json["data"]?.array)
                seen += events.compactMap { $0["id"]?.string }
                sizes.append(events.count)
                cursor = try #require(page.json["next_cursor"]?.string)
                if page.json["has_more"]?.boolean != true { break }
            }
            #expect(sizes == [10, 10, 5])
            let epoch = try await node.service.epochs.current()
            #expect(seen == (try await node.allEvents()).map { "\(epoch):\($0)" })
            #expect(cursor == seen.last)
            let end = try await node.feed("?after=\(cursor)", token: token)
            #expect(end.json["data"]?.array?.count == 0)
            #expect(end.json["next_cursor"]?.string == cursor)
        }
    }

    @Test("an event says when, what, and whom it is about", arguments: TestEngine.allCases)
    func shape(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            _ = try await node.send(.post, "/v1/logout", token: ada.access)
            let page = try await node.feed()
            let event = try #require(page.json["data"]?.array?.last)
            #expect(event.names == ["id", "at", "kind", "user_id", "session_id", "data"])
            #expect(event["kind"]?.string == "session.revoked")
            #expect(event["user_id"]?.string == ada.userID)
            #expect(event["session_id"]?.string == ada.sessionID)
            #expect(event["data"]?["sid"]?.string == ada.sessionID)
            let at = try #require(event["at"]?.string)
            #expect(at.hasPrefix("2027-01-15T08:0") && at.hasSuffix("Z"), "\(at)")
        }
    }

    @Test("kinds choose, and the cursor moves past what was not chosen", arguments: TestEngine.allCases)
    func kinds(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            for _ in 0..<5 { try await node.revokeAll(of: ada.userID) }
            let token = try await node.serviceToken()
            let created = try await node.feed("?kinds=user.created,user.deleted", token: token)
            #expect(created.json["data"]?.array?.map { $0["kind"]?.string } == ["user.created"])
            let epoch = try await node.service.epochs.current()
            let last = try #require(try await node.allEvents().last)
            #expect(created.json["next_cursor"]?.string == "\(epoch):\(last)")
            #expect(created.json["has_more"]?.boolean == false)
            // Full, with more behind it.
            let full = try await node.feed("?kinds=user.tokens_revoked&limit=2", token: token)
            #expect(full.json["data"]?.array?.count == 2)
            #expect(full.json["has_more"]?.boolean == true)
            // More rows of other kinds than one request reads: an empty page with a cursor.
            try await node.makeEvents(10_500)
            var cursor = "\(epoch):\(last)"
            var pages = 0
            var more = true
            while more {
                let page = try await node.feed("?kinds=user.deleted&after=\(cursor)", token: token)
                #expect(page.json["data"]?.array?.count == 0)
                cursor = try #require(page.json["next_cursor"]?.string)
                more = try #require(page.json["has_more"]?.boolean as Bool?)
                pages += 1
            }
            #expect(pages == 2)
            #expect(cursor == "\(epoch):\(try #require(try await node.allEvents().last))")
        }
    }

    @Test("since begins with what happened within the time", arguments: TestEngine.allCases)
    func since(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            node.clock.advance(.seconds(1000))
            try await node.revokeAll(of: ada.userID)
            node.clock.advance(.seconds(1000))
            try await node.revokeAll(of: ada.userID)
            let token = try await node.serviceToken()
            func count(_ since: String) async throws -> Int? {
                try await node.feed("?since=\(since)", token: token).json["data"]?.array?.count
            }
            #expect(try await count("900s") == 1)
            #expect(try await count("15m") == 1)
            #expect(try await count("20m") == 2)
            #expect(try await count("1h") == 3)
            #expect(try await count("7d") == 3)
            node.clock.advance(.seconds(1000))
            let none = try await node.feed("?since=10s", token: token)
            #expect(none.json["data"]?.array?.count == 0)
            // The end of the log, so that no later event is missed.
            let newest = try #require(try await node.allEvents().last)
            #expect(none.json["next_cursor"]?.string?.hasSuffix(":\(newest)") == true)
        }
    }

    @Test("what cannot be read is refused, naming the parameter")
    func badQueries() async throws {
        try await withNode(.sqlite) { node in
            let token = try await node.serviceToken()
            let epoch = try await node.service.epochs.current()
            for query in [
                "since=15", "since=m", "since=0s", "since=-5m", "since=8d", "since=15x", "since=99999999999999999999s",
                "since=15m&after=\(epoch):0", "kinds=", "kinds=session.revoked,", "kinds=nothing", "limit=0",
                "limit=1001", "limit=x",
            ] {
                let answer = try await node.feed("?\(query)", token: token)
                #expect(answer.status == 400 && answer.code == "validation_failed", "\(query): \(answer.text)")
            }
            for cursor in [
                "", "0", ":", "\(epoch):", "\(epoch):x", "\(epoch):-1", "\(epoch):+1", "a%20b:1", "a:1:2",
                "\(epoch):99999999999999999999",
            ] {
                let answer = try await node.feed("?after=\(cursor)", token: token)
                #expect(answer.status == 400 && answer.code == "invalid_cursor", "\(cursor): \(answer.text)")
            }
            // No text at all, so no cursor.
            #expect(try await node.feed("?after=%00:1", token: token).code == "bad_request")
        }
    }

    // MARK: 410

    @discardableResult
    private func expectGone(
        _ node: AuthNode,
        _ query: String,
        _ place: SourceLocation = #_sourceLocation
    ) async throws -> String {
        let answer = try await node.feed(query)
        #expect(answer.status == 410 && answer.code == "cursor_gone", "\(answer.text)", sourceLocation: place)
        let resync = try #require(answer.json["resync_cursor"]?.string)
        #expect(try await node.feed("?after=\(resync)").status == 200, sourceLocation: place)
        return resync
    }

    @Test("a cursor of another epoch is gone", arguments: TestEngine.allCases)
    func epochs(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            _ = try await node.signUp()
            let old = try await node.service.epochs.current()
            #expect(try await node.feed("?after=\(old):1").status == 200)
            let name = try await node.service.recovery.begin(after: .restore)
            let resync = try await expectGone(node, "?after=\(old):1")
            #expect(resync == "\(name):\(try #require(try await node.allEvents().last))")
            try await expectGone(node, "?after=\(old):1&kinds=user.deleted")
        }
    }

    @Test("a cursor beyond the newest event is gone: the log was rewound", arguments: TestEngine.allCases)
    func rewind(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            try await node.revokeAll(of: ada.userID)
            let epoch = try await node.service.epochs.current()
            let newest = try #require(try await node.allEvents().last)
            #expect(try await node.feed("?after=\(epoch):\(newest)").status == 200)
            #expect(try await expectGone(node, "?after=\(epoch):\(newest + 1)") == "\(epoch):\(newest)")
            // As on a promoted standby that lacked the end.
            try await node.execute("DELETE FROM events WHERE seq = :newest", ["newest": newest])
            try await expectGone(node, "?after=\(epoch):\(newest)")
        }
    }

    @Test(
        "a cursor before what the cleanup took is gone, though deletions of users stay",
        arguments: TestEngine.allCases
    )
    func horizon(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let admin = try await node.makeAdmin()
            let ada = try await node.signUp()
            _ = try await node.send(.delete, "/v1/admin/users/\(ada.userID)", token: admin.access)
            let epoch = try await node.service.epochs.current()
            let deletion = try #require(try await node.allEvents().last)
            let bob = try await node.signUp("bob@example.com")
            try await node.revokeAll(of: bob.userID)
            let lastOld = try #require(try await node.allEvents().last)
            node.clock.advance(.seconds(8 * 86_400))
            try await node.revokeAll(of: bob.userID)
            let report = try await node.service.cleanup.run()
            #expect(report.counts.first { $0.name == "events" }?.count == Int(lastOld) - 1)
            let young = lastOld + 1
            #expect(try await node.allEvents() == [deletion, young])

            // The deletion's row has a greater number, but others in between are gone.
            try await expectGone(node, "?after=\(epoch):0")
            try await expectGone(node, "?after=\(epoch):\(deletion)")
            try await expectGone(node, "?after=\(epoch):\(lastOld - 1)")
            let kept = try await node.feed("?after=\(epoch):\(lastOld)")
            #expect(kept.json["data"]?.array?.map { $0["id"]?.string } == ["\(epoch):\(young)"])
            // From the first number without a gap.
            #expect(try await node.feed().json["data"]?.array?.map { $0["id"]?.string } == ["\(epoch):\(young)"])
            #expect(try await node.feed("?since=1h").status == 200)

            // Events of this kind are never removed, for old and new readers alike.
            for query in ["?kinds=user.deleted", "?kinds=user.deleted&after=\(epoch):0"] {
                let page = try await node.feed(query)
                #expect(page.json["data"]?.array?.map { $0["user_id"]?.string } == [ada.userID])
                #expect(page.json["next_cursor"]?.string == "\(epoch):\(young)")
            }
            try await expectGone(node, "?kinds=user.deleted,session.revoked&after=\(epoch):0")
        }
    }

    @Test("the horizon holds when every event is gone, and when the clock is set back", arguments: TestEngine.allCases)
    func nothingLeft(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            try await node.revokeAll(of: ada.userID)
            let epoch = try await node.service.epochs.current()
            let last = try #require(try await node.allEvents().last)
            node.clock.advance(.seconds(8 * 86_400))
            _ = try await node.service.cleanup.run()
            #expect(try await node.allEvents() == [])
            #expect(try await node.feed("?after=\(epoch):\(last)").status == 200)
            #expect(try await node.feed().json["next_cursor"]?.string == "\(epoch):\(last)")
            try await expectGone(node, "?after=\(epoch):\(last - 1)")
            try await expectGone(node, "?after=\(epoch):\(last + 1)")
            // A node whose clock is behind requests a time whose events are gone.
            node.clock.advance(.seconds(-2 * 86_400))
            try await expectGone(node, "?since=7d")
        }
    }

    @Test("race: two nodes that clean up at once take nothing beyond the horizon", arguments: TestEngine.allCases)
    func cleanupRace(engine: TestEngine) async throws {
        try await withSeparateNodes(engine) { nodes in
            try await nodes[0].makeEvents(3000)
            nodes[0].clock.advance(.seconds(8 * 86_400))
            try await nodes[0].makeEvents(10)
            _ = try await inParallel(4) { try await nodes[$0 % 2].service.cleanup.run() }
            let horizon = try #require(
                try await nodes[0].query("SELECT integer_value FROM settings WHERE key = 'event_horizon'").first
            ).integer("integer_value")
            let left = try await nodes[0].allEvents()
            #expect(horizon == 3000)
            #expect(left.suffix(10) == Array(3001...3010))
            // The next pass removes what a racing pass left.
            _ = try await nodes[1].service.cleanup.run()
            #expect(try await nodes[0].allEvents() == Array(3001...3010))
        }
    }
}
