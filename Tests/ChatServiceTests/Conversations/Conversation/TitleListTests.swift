// Lists with `?q=` are read in one of two ways, and both show the same.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Lists by title")
struct TitleListTests {
    private static let titled = Statement(
        "test.titled",
        .writes,
        ["words": .words, "count": .integer],
        """
        UPDATE conversations SET title = 'Tide', search = :words
        WHERE id IN (SELECT id FROM conversations ORDER BY id LIMIT :count)
        """
    )

    @Test("few matches are looked up, many are walked to, and the list is the same", arguments: TestEngine.allCases)
    func plans(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            let many = Int(Conversations.smallLimit) + 1
            try await chat.create(#"{"id":"first","title":"Ebb"}"#)
            try await chat.fill(many + 99)
            let words = try #require(SearchText.words(of: "Tide"))
            for (titles, plan) in [(40, "few"), (many, "many")] {
                _ = try await chat.database.run(Self.titled.bind(["words": words, "count": Int64(titles)]))
                let all = try await chat.pages("/v1/conversations?limit=100").flatMap { $0 }
                let expected = all.filter { $0["title"]?.string == "Tide" }.map { $0["id"]?.string }
                #expect(expected.count == titles)
                counting.forget()
                let found = try await chat.pages("/v1/conversations?limit=30&q=tide").flatMap { $0 }
                #expect(found.map { $0["id"]?.string } == expected)
                let names = Set(counting.transactions.flatMap { $0 }.filter { $0.hasPrefix("conversations.older") })
                #expect(names == ["conversations.older_matching_\(plan)"])
                let numbered = try await chat.send(.get, "/v1/conversations?limit=30&q=tide&page=2&count=true").json
                #expect(numbered["total"]?.integer == Int64(titles))
                let second = try #require(numbered["data"]?.array).map { $0["id"]?.string }
                #expect(second == Array(expected.dropFirst(30).prefix(30)))
            }
        }
    }
}
