import HTTPTypes
import TesseraVerifier
import TestSupport
import Testing

@Suite("News of other events")
struct EventNewsTests {
    private let feed = ScriptedFeed()
    private let news = EventNews(of: ["user.created", "user.deleted"])

    @Test("the stream is asked for these kinds too, and one that begins says that there may be events of each")
    func start() async throws {
        feed.open(with: "")
        try await feed.withFollower(news: news) { follower in
            try await eventually("the stream is open") { feed.asked.count == 1 }
            let kinds = try #require(feed.asked.first?.kinds).split(separator: ",").sorted()
            #expect(kinds.contains("user.created") && kinds.contains("session.revoked"))
            #expect(kinds.count(where: { $0 == "user.deleted" }) == 1)
            #expect(news.completeUntil == nil)
            feed.send(ScriptedFeed.caughtUp("e:1"))
            try await eventually("the news are complete") { news.completeUntil != nil }
            #expect(news.take() == ["user.created", "user.deleted"])
            #expect(news.take() == [])
            #expect(news.position == "e:1")
        }
    }

    @Test("an event is news of its kind, a revocation moves the position alone, and a heartbeat neither")
    func live() async throws {
        try await feed.withFollower(news: news) { follower in
            try await eventually("the news are complete") { news.completeUntil != nil }
            _ = news.take()
            feed.send(ScriptedFeed.event("e:1", "session.revoked", "{\"sid\":\"session-1\"}"))
            try await eventually("the revocation is taken") { news.position == "e:1" }
            #expect(news.take() == [])
            feed.send(ScriptedFeed.event("e:2", "user.created", "{}"))
            try await eventually("the event is taken") { news.position == "e:2" }
            #expect(news.take() == ["user.created"])
            let heardAt = try #require(news.completeUntil)
            try await eventually("a heartbeat is heard") {
                feed.send(": heartbeat\n\n")
                return news.completeUntil ?? heardAt > heardAt
            }
            #expect(news.take() == [])
            #expect(news.position == "e:2")
        }
    }

    @Test("a stream that is taken up where it was has news of what came meanwhile, and of nothing else")
    func resumed() async throws {
        feed.open(
            with: ScriptedFeed.caughtUp("e:1"),
            ScriptedFeed.event("e:2", "user.deleted", "{\"user_id\":\"user-1\"}")
        )
        try await feed.withFollower(news: news) { follower in
            try await eventually("the news are complete") { news.completeUntil != nil }
            _ = news.take()
            feed.cut()
            try await eventually("it has come back") { feed.asked.count == 2 }
            #expect(feed.asked[1].lastEventID == "e:1")
            #expect(news.completeUntil == nil)
            feed.send(ScriptedFeed.caughtUp("e:2"))
            try await eventually("the news are complete") { news.completeUntil != nil }
            #expect(news.take() == ["user.deleted"])
        }
        #expect(news.completeUntil == nil)
    }

    @Test("a position that is gone is news of every kind, once the feed was read back")
    func gone() async throws {
        feed.open(with: ScriptedFeed.caughtUp("e:1"), "")
        try await feed.withFollower(news: news) { follower in
            try await eventually("the news are complete") { news.completeUntil != nil }
            _ = news.take()
            feed.refuse(.gone)
            feed.cut()
            try await eventually("it begins again") { feed.asked.count == 3 }
            #expect(news.take() == [])
            feed.send(ScriptedFeed.caughtUp("f:1"))
            try await eventually("the news are complete") { news.completeUntil != nil }
            #expect(news.take() == ["user.created", "user.deleted"])
        }
    }

    @Test("keys are fetched when the feed says that they have changed, and when it connects again")
    func keys() async throws {
        let remote = ScriptedIssuer()
        try remote.publish(try TestIssuer())
        let source = remote.source(standingClock: false)
        try await source.whileRunning {
            try await eventually("the set is there") { !source.snapshot().isEmpty }
            try await feed.withFollower(keys: source) { follower in
                await follower.waitUntilCurrent()
                #expect(feed.asked.first?.kinds?.contains("keys.rotated") == true)
                #expect(remote.fetches == 1)
                for (number, kind) in ["keys.rotated", "keys.revoked"].enumerated() {
                    feed.send(ScriptedFeed.event("e:\(number + 1)", kind, "{\"kid\":\"other\"}"))
                    try await eventually("the set is fetched again") { remote.fetches == number + 2 }
                }
                feed.cut()
                try await eventually("the set is fetched again") { remote.fetches == 4 }
                #expect(feed.asked.count == 2)
            }
        }
    }
}
