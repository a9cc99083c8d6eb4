import HTTPTypes
import Storage
import TestSupport
import Testing
import WebSupport

@Suite("Tags")
struct TagTests {
    private func names(_ answer: Answer) throws -> [String] {
        try answer.json["tags"]?.array?.compactMap(\.string) ?? []
    }

    @Test("tags are told wherever a conversation is, and one spelling is shown", arguments: TestEngine.allCases)
    func told(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)"
            #expect(try names(try await chat.send(.get, path)) == [])
            let set = try await chat.send(.put, path + "/tags", #"{"tags":["Work"," work ","Zürich","a/b 100%"]}"#)
            #expect(set.status == 200, "\(set.text)")
            #expect(try names(set) == ["a/b 100%", "Work", "Zürich"])
            #expect(set.headers[.eTag] == "\"v2\"")
            let read = try await chat.send(.get, path)
            #expect(try names(read) == ["a/b 100%", "Work", "Zürich"])
            #expect(read.headers[.eTag] == "\"v2\"")
            let list = try await chat.send(.get, "/v1/conversations").json["data"]?.array?.first
            #expect(list?["tags"]?.array?.count == 3)
            let patched = try await chat.send(.patch, path, #"{"title":"t"}"#)
            #expect(try names(patched).count == 3)
            #expect(try names(try await chat.send(.get, path + "/tags")).count == 3)

            // Another spelling, decomposed too, is the same tag.
            let other = try await chat.conversation()
            let added = try await chat.send(.put, "/v1/conversations/\(other)/tags/WORK")
            #expect(try names(added) == ["Work"])
            let same = try await chat.send(.put, "/v1/conversations/\(other)/tags/zu%CC%88rich")
            #expect(try names(same) == ["Work", "Zürich"])
            let removed = try await chat.send(.delete, path + "/tags/A%2FB%20100%25")
            #expect(try names(removed) == ["Work", "Zürich"])
            let tags = try #require(try await chat.send(.get, "/v1/tags?count=true").json["data"]?.array)
            let counts = Dictionary(
                uniqueKeysWithValues: tags.map { ($0["name"]?.string ?? "", $0["conversation_count"]?.integer) }
            )
            #expect(counts == ["Work": 2, "Zürich": 2, "a/b 100%": 0])
            #expect(try names(try await chat.send(.put, path + "/tags", #"{"tags":[]}"#)) == [])
        }
    }

    @Test("the list filters by tag in both directions, with counts and page numbers", arguments: TestEngine.allCases)
    func filter(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for index in 0..<9 {
                clock.advance(.seconds(1))
                try await chat.create(#"{"id":"c-\#(index)"}"#)
                if index.isMultiple(of: 2) { _ = try await chat.send(.put, "/v1/conversations/c-\(index)/tags/even") }
            }
            try await chat.create(#"{"id":"theirs"}"#, as: "stranger")
            _ = try await chat.send(.put, "/v1/conversations/theirs/tags/even", as: "stranger")
            let pages = try await chat.pages("/v1/conversations?tag=EVEN&limit=2")
            #expect(pages.map { $0.compactMap { $0["id"]?.string } } == [["c-8", "c-6"], ["c-4", "c-2"], ["c-0"]])
            let second = try await chat.send(.get, "/v1/conversations?tag=even&limit=2&page=2&count=true").json
            #expect(second["data"]?.array?.compactMap { $0["id"]?.string } == ["c-4", "c-2"])
            #expect(second["total"]?.integer == 5)
            let first = try await chat.send(.get, "/v1/conversations?tag=even&limit=2").json
            let next = try #require(first["next_cursor"]?.string)
            let page = try await chat.send(.get, "/v1/conversations?tag=even&limit=2&after=\(next)").json
            let before = try #require(page["prev_cursor"]?.string)
            let back = try await chat.send(.get, "/v1/conversations?tag=even&limit=2&before=\(before)").json
            #expect(back["data"]?.array?.compactMap { $0["id"]?.string } == ["c-8", "c-6"])
            #expect(try await chat.send(.get, "/v1/conversations?tag=odd").json["data"]?.array?.isEmpty == true)
            _ = try await chat.send(.patch, "/v1/conversations/c-4", #"{"archived":true}"#)
            let archived = try await chat.send(.get, "/v1/conversations?tag=even&archived=true&count=true").json
            #expect(archived["total"]?.integer == 1)
        }
    }

    @Test("a tag is renamed in one place and deleted from everywhere", arguments: TestEngine.allCases)
    func ownTags(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let path = "/v1/conversations/\(id)"
            _ = try await chat.send(.put, path + "/tags", #"{"tags":["one","two"]}"#)
            let tags = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array)
            let one = try #require(tags.first { $0["name"]?.string == "one" }?["id"]?.string)
            let taken = try await chat.send(.patch, "/v1/tags/\(one)", #"{"name":"TWO"}"#)
            #expect(taken.status == 409)
            #expect(taken.code == "tag_taken")
            let renamed = try await chat.send(.patch, "/v1/tags/\(one)", #"{"name":"ONE"}"#)
            #expect(try renamed.json["name"]?.string == "ONE")
            #expect(try names(try await chat.send(.get, path)) == ["ONE", "two"])
            #expect(try await chat.send(.patch, "/v1/tags/\(one)", as: "stranger", #"{"name":"x"}"#).status == 404)
            #expect(try await chat.send(.delete, "/v1/tags/\(one)", as: "stranger").status == 404)
            #expect(try names(try await chat.send(.get, path)).count == 2)
            // More conversations than a unit takes.
            try await chat.fill(1100, tag: one)
            #expect(try await chat.send(.get, "/v1/conversations?tag=one&count=true").json["total"]?.integer == 1101)
            #expect(try await chat.send(.delete, "/v1/tags/\(one)").status == 204)
            #expect(try await chat.send(.delete, "/v1/tags/\(one)").status == 404)
            #expect(try names(try await chat.send(.get, path)) == ["two"])
            #expect(try await chat.rows("conversation_tags") == 1)
        }
    }

    @Test("If-Match guards tags, and bad names change nothing", arguments: TestEngine.allCases)
    func guarded(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let path = "/v1/conversations/\(try await chat.conversation())"
            _ = try await chat.send(.put, path + "/tags/kept")
            let stale = try await chat.send(.put, path + "/tags", #"{"tags":["x"]}"#, headers: [.ifMatch: "\"v1\""])
            #expect(stale.status == 412)
            #expect(try await chat.send(.delete, path + "/tags/kept", headers: [.ifMatch: "\"v1\""]).status == 412)
            let long = String(repeating: "x", count: 101)
            for body in [
                "{}", #"{"tags":["\#(long)"]}"#, #"{"tags":[" "]}"#, #"{"tags":["a\u0007"]}"#, #"{"tags":[1]}"#,
            ] {
                #expect(try await chat.send(.put, path + "/tags", body).status == 400, "\(body)")
            }
            #expect(try await chat.send(.put, path + "/tags/%20").status == 404)
            #expect(try await chat.send(.put, path + "/tags/\(long)").status == 404)
            #expect(try names(try await chat.send(.get, path)) == ["kept"])
            #expect(try await chat.rows("tags") == 1)
            // 32 and no more.
            let many = (0..<31).map { "\"t\($0)\"" }.joined(separator: ",")
            #expect(try await chat.send(.put, path + "/tags", #"{"tags":["kept",\#(many)]}"#).status == 200)
            let full = try await chat.send(.put, path + "/tags/late")
            #expect(full.complaints == ["tags out_of_range"])
            #expect(try await chat.send(.put, path + "/tags/KEPT").status == 200)
            #expect(try await chat.rows("tags") == 32)
            #expect(try await chat.send(.put, "/v1/conversations/nowhere/tags/x").status == 404)
        }
    }

    @Test("16 concurrent first uses of a tag make one", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            for index in 0..<8 { try await chat.create(#"{"id":"c-\#(index)"}"#) }
            let statuses = try await inParallel(16) { index in
                let name = index.isMultiple(of: 3) ? "NEW" : "new"
                return try await chat.send(.put, "/v1/conversations/c-\(index % 8)/tags/\(name)", node: index).status
            }
            #expect(statuses.allSatisfy { $0 == 200 })
            #expect(try await chat.rows("tags") == 1)
            #expect(try await chat.rows("conversation_tags") == 8)
        }
    }
}
