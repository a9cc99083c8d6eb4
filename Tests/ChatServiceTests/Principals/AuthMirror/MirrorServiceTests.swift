// The mirror reads from auth after a hint of the stream, and not otherwise.
import Logging
import ServiceKit
import Storage
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import ChatService

@Suite("When the mirror asks auth")
struct MirrorServiceTests {
    private let feed = ScriptedUserEvents()
    private let news = EventNews(of: UserEventFeed.kinds)

    @Test("a start reads both ways, a hint the one it is about, and without one nothing is asked")
    func hints() async throws {
        try await withChat(.sqlite) { chat async throws in
            feed.tell("user.created", "owner", #""name":"Ada""#)
            try await chat.whileMirroring(feed, news) {
                news.readBack()
                news.isComplete(at: "e:1")
                try await chat.untilName(of: "owner", is: "Ada")
                try await eventually("both ways are read") { feed.asked == ["deletions -", "profiles -"] }
                feed.tell("user.updated", "owner", #""name":"Grace""#)
                news.heard("user.updated")
                try await chat.untilName(of: "owner", is: "Grace")
                #expect(feed.asked.dropFirst(2) == ["profiles e:1"])
                // The passes in between had nothing to read.
                feed.tell("user.deleted", "owner")
                news.heard("user.deleted")
                try await eventually("the deletion has its effect") {
                    try await chat.principal("owner")?.optionalInstant("erased_at") != nil
                }
                #expect(feed.asked.dropFirst(3) == ["deletions e:1"])
            }
        }
    }

    @Test("a page that fails is asked for again; a hint that found the stream away has its effect when it is back")
    func away() async throws {
        try await withChat(.sqlite) { chat async throws in
            try await chat.whileMirroring(feed, news) {
                news.readBack()
                news.isComplete(at: "e:0")
                try await eventually("both ways are read") { feed.asked.count == 2 }
                // Auth fails at the page, not at the stream: the page is retried.
                feed.tell("user.created", "owner", #""name":"Ada""#)
                feed.fail(with: .status(503))
                news.heard("user.created")
                try await eventually("it asks again") { feed.asked.count >= 4 }
                #expect(Set(feed.asked.dropFirst(2)) == ["profiles e:0"])
                feed.fail(with: nil)
                try await chat.untilName(of: "owner", is: "Ada")

                news.lost()
                feed.tell("user.updated", "owner", #""name":"Grace""#)
                news.heard("user.updated")
                news.isComplete(at: "e:2")
                try await chat.untilName(of: "owner", is: "Grace")
            }
        }
    }

    @Test("a node that takes over reads what the one before it was told and did not do", arguments: TestEngine.allCases)
    func takeover(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let broken = ScriptedUserEvents()
            broken.fail(with: .status(503))
            let others = EventNews(of: UserEventFeed.kinds)
            let other = Task {
                try await chat.whileMirroring(broken, others, holder: "first") {
                    others.readBack()
                    others.isComplete(at: "e:0")
                    try await eventually("it tries") { broken.asked.count >= 2 }
                    // Received by every node.
                    feed.tell("user.created", "owner", #""name":"Ada""#)
                    for news in [others, news] {
                        news.heard("user.created")
                        news.isComplete(at: "e:1")
                    }
                    let asked = broken.asked.count
                    try await eventually("it tries with the hint") { broken.asked.count > asked + 1 }
                }
            }
            try await eventually("the first node has the lease") { !broken.asked.isEmpty }
            try await chat.whileMirroring(feed, news, holder: "second") {
                try await other.value
                try await chat.untilName(of: "owner", is: "Ada")
                #expect(feed.asked == ["profiles -"])
            }
        }
    }

    @Test("cursors follow the stream over events of other kinds")
    func otherKinds() async throws {
        try await withChat(.sqlite) { chat async throws in
            try await chat.whileMirroring(feed, news, maxLag: .zero) {
                news.readBack()
                news.isComplete(at: "e:0")
                try await eventually("both ways are read") { feed.asked.count == 2 }
                feed.tell("session.revoked", "owner")
                news.isComplete(at: "e:1")
                try await eventually("both cursors have moved") {
                    let rows = try await chat.database.run(Self.cursors.bind()).rows
                    return try rows.map { try $0.text("cursor") } == ["e:1", "e:1"]
                }
                #expect(feed.asked.dropFirst(2) == ["deletions e:0", "profiles e:0"])
            }
        }
    }

    private static let cursors = Statement("test.cursors", .reads, "SELECT cursor FROM auth_feed ORDER BY name")
}

extension Chat {
    fileprivate func whileMirroring(
        _ feed: ScriptedUserEvents,
        _ news: EventNews,
        holder: String = "node",
        maxLag: Duration = .seconds(60),
        _ body: () async throws -> Void
    ) async throws {
        let service = MirrorService(
            mirror: mirror(feed),
            news: news,
            lease: JobLease("auth_feed", holder: holder, database: database, clock: .system),
            logger: .quiet,
            interval: .milliseconds(5),
            maxLag: maxLag
        )
        let running = Task { try await service.run() }
        let outcome: Result<Void, any Error>
        do { outcome = .success(try await body()) } catch { outcome = .failure(error) }
        running.cancel()
        try await running.value
        try outcome.get()
    }

    fileprivate func untilName(of user: String, is name: String) async throws {
        try await eventually("\(user) is \(name)") {
            try await principal(user)?.optionalText("display_name") == name
        }
    }
}
