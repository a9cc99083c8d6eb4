// How PostgreSQL is searched: at once for a person with some thousand messages, by windows for one with more, and in
// part where one hour has more than is sorted.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("how a search is asked", .needsPostgres)
struct SearchSizeTests {
    /// By their counters, the owner's conversations have too many messages for one question.
    private static let pretend = Statement(
        "test.pretend",
        .writes,
        "UPDATE conversations SET message_count = message_count + 1000000"
    )

    @Test("a person with hundreds of messages is asked for once, and by windows the hits are the same")
    func once() async throws {
        let time = TestClock()
        try await withChat(.postgres, clock: time.clock, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation(#"{"title":"x"}"#)
            for batch in 0..<5 {
                let messages = (0..<60).map { n in
                    #"{"role":"user","content":"tide \#(n % 7 == 0 ? "rare" : "")","id":"m-\#(batch * 60 + n)"}"#
                }
                try await chat.append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: id)
                // Months lie between them.
                time.advance(.seconds(9_000_000))
            }
            for query in ["tide", "rare", "tide rare", "absent", "tide -rare", "ti*"] {
                counting.forget()
                let once = try await chat.pages("/v1/search?limit=40&q=\(escaped(query))").flatMap { $0 }
                let pages = max(1, (once.count + 39) / 40)
                #expect(counting.transactions.count { $0 == ["search.messages"] } == pages, "\(query)")
                _ = try await chat.database.run(Self.pretend.bind())
                counting.forget()
                let windows = try await chat.pages("/v1/search?limit=40&q=\(escaped(query))").flatMap { $0 }
                #expect(windows.map { $0["id"]?.string } == once.map { $0["id"]?.string }, "\(query)")
                if query == "absent" {
                    // The newest window, some groups, and then all of time.
                    let asked = counting.transactions.count { $0 == ["search.messages"] }
                    #expect(asked == Search.maxGroups + 2)
                }
                _ = try await chat.database.run(
                    Statement("test.own", .writes, "UPDATE conversations SET message_count = 300").bind()
                )
            }
        }
    }

    @Test("of an hour with more candidates than are sorted the answer is partial, and says so")
    func partial() async throws {
        try await withChat(.postgres) { chat in
            let id = try await chat.conversation(#"{"title":"x","messages":[{"role":"user","content":"tide"}]}"#)
            let whole = try await chat.send(.get, "/v1/search?q=tide").json
            #expect(whole["partial"] == nil)
            let crowd = Statement(
                "test.crowd",
                .writes,
                ["conversation": .text, "count": .integer],
                """
                INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, content_text, parts, search)
                SELECT 'x-' || n, :conversation, n + 1, 'user', '2026-01-01T00:00:00Z', now(), 'tide', '[]', 'tide:1'
                FROM generate_series(1, :count) n
                """
            )
            _ = try await chat.database.run(
                crowd.bind(["conversation": id, "count": Search.maxSorted + 50]),
                priority: .long
            )
            _ = try await chat.database.run(Self.pretend.bind())
            let answer = try await chat.send(.get, "/v1/search?q=tide&limit=100")
            #expect(answer.status == 200)
            #expect(try answer.json["partial"]?.boolean == true)
            #expect(try answer.json["data"]?.array?.count == 100)
            #expect(try answer.json["has_more"]?.boolean == true)
        }
    }
}
