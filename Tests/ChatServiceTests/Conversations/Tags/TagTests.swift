import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

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
            #expect(read.headers[.eTag]?.hasPrefix("\"v2-") == true)
            let list = try await chat.send(.get, "/v1/conversations").json["data"]?.array?.first
            #expect(list?["tags"]?.array?.count == 3)
            let patched = try await chat.send(.patch, path, #"{"title":"t"}"#)
            #expect(try names(patched).count == 3)
            #expect(try names(try await chat.send(.get, path + "/tags")).count == 3)

            // Another spelling, also decomposed, is the same tag.
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
            // More conversations than one transaction handles.
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
            #expect(stale.headers[.eTag] == "\"v2\"")
            #expect(try stale.json["current"]?["tags"]?.array?.map(\.string) == ["kept"])
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
            // At most 32.
            let many = (0..<31).map { "\"t\($0)\"" }.joined(separator: ",")
            #expect(try await chat.send(.put, path + "/tags", #"{"tags":["kept",\#(many)]}"#).status == 200)
            let full = try await chat.send(.put, path + "/tags/late")
            #expect(full.violations == ["tags out_of_range"])
            #expect(try await chat.send(.put, path + "/tags/KEPT").status == 200)
            #expect(try await chat.rows("tags") == 32)
            #expect(try await chat.send(.put, "/v1/conversations/nowhere/tags/x").status == 404)
        }
    }

    @Test(
        "a page by a tag costs two looks, and one for a tag that is nobody's or on nothing",
        arguments: TestEngine.allCases
    )
    func unknown(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            try await chat.create(#"{"id":"c"}"#)
            _ = try await chat.send(.put, "/v1/conversations/c/tags/once")
            _ = try await chat.send(.delete, "/v1/conversations/c/tags/once")
            _ = try await chat.send(.put, "/v1/conversations/c/tags/there")
            let counting = try #require(chat.database as? CountingDatabase)
            counting.forget()
            #expect(try await chat.send(.get, "/v1/conversations?tag=there").json["data"]?.array?.count == 1)
            #expect(counting.transactions == [["tags.find"], ["conversations.older_tagged_few"]])
            for query in ["tag=none", "tag=once", "tag=none&pinned=true", "tag=none&page=2"] {
                counting.forget()
                let page = try await chat.send(.get, "/v1/conversations?\(query)&count=true").json
                #expect(page["data"]?.array?.isEmpty == true)
                #expect(page["total"]?.integer == 0)
                #expect(page["has_more"]?.boolean == false)
                #expect(counting.transactions == [["tags.find"]], "\(query)")
            }
        }
    }

    @Test(
        "a page by a tag is the same whether few have the tag or many",
        arguments: TestEngine.allCases,
        [30, 1200]
    )
    func fewAndMany(engine: TestEngine, count: Int) async throws {
        try await withChat(engine) { chat in
            try await chat.create(#"{"id":"c"}"#)
            try await chat.create(#"{"id":"without"}"#)
            _ = try await chat.send(.put, "/v1/conversations/c/tags/t")
            let tag = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array?[0]["id"]?.string)
            try await chat.fill(count, tag: tag)
            let first = try await chat.send(.get, "/v1/conversations?tag=t&limit=10&count=true").json
            #expect(first["total"]?.integer == Int64(count) + 1)
            let ids = (first["data"]?.array ?? []).compactMap { $0["id"]?.string }
            let expected = (1...count).map { "f-\($0)" }.sorted(by: >)
            #expect(ids == ["c"] + expected.prefix(9))
            let next = try #require(first["next_cursor"]?.string)
            let second = try await chat.send(.get, "/v1/conversations?tag=t&limit=10&after=\(next)").json
            #expect((second["data"]?.array ?? []).compactMap { $0["id"]?.string } == Array(expected[9..<19]))
            let numbered = try await chat.send(.get, "/v1/conversations?tag=t&limit=10&page=2").json
            #expect(numbered["data"]?.raw == second["data"]?.raw)
            let back = try #require(second["prev_cursor"]?.string)
            let again = try await chat.send(.get, "/v1/conversations?tag=t&limit=10&before=\(back)").json
            #expect(again["data"]?.raw == first["data"]?.raw)
        }
    }

    @Test("a tag's count is of the living conversations, whatever happens to them", arguments: TestEngine.allCases)
    func counts(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            func expect(_ count: Int64?, _ what: String) async throws {
                let tags = try await chat.send(.get, "/v1/tags").json["data"]?.array ?? []
                #expect(tags.first { $0["name"]?.string == "t" }?["conversation_count"]?.integer == count, "\(what)")
                #expect(try await ChatInvariant.broken(in: chat.database) == [], "\(what)")
            }
            for id in ["a", "b", "c"] {
                try await chat.create(#"{"id":"\#(id)"}"#)
                for name in ["t", "other"] { _ = try await chat.send(.put, "/v1/conversations/\(id)/tags/\(name)") }
            }
            try await expect(3, "tagged")
            _ = try await chat.send(.put, "/v1/conversations/a/tags/T")
            try await expect(3, "tagged again")
            _ = try await chat.send(.delete, "/v1/conversations/a")
            try await expect(2, "in the trash")
            _ = try await chat.send(.post, "/v1/conversations/a/restore")
            try await expect(3, "back")
            #expect(try await chat.send(.post, "/v1/conversations/b/fork").status == 201)
            try await expect(4, "forked")
            _ = try await chat.send(.delete, "/v1/conversations/c/tags/t")
            try await expect(3, "taken off")
            _ = try await chat.send(.put, "/v1/conversations/c/tags", #"{"tags":["x","t"]}"#)
            try await expect(4, "replaced")
            _ = try await chat.send(.delete, "/v1/conversations/c?permanent=true")
            try await expect(3, "gone for good")
            _ = try await chat.send(.delete, "/v1/conversations/a")
            _ = try await chat.send(.delete, "/v1/conversations/a?permanent=true")
            try await expect(2, "gone from the trash")
            _ = try await chat.send(.delete, "/v1/conversations?all=true")
            try await expect(0, "all in the trash")
            _ = try await chat.send(.post, "/v1/conversations/b/restore")
            try await expect(1, "one back")
            let id = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array?[0]["id"]?.string)
            let renamed = try await chat.send(.patch, "/v1/tags/\(id)", #"{"name":"t"}"#)
            #expect(try renamed.json["conversation_count"]?.integer == 1)
            #expect(try await chat.send(.delete, "/v1/tags/\(id)").status == 204)
            try await expect(nil, "deleted")
        }
    }

    @Test(
        "deleting a tag makes a new version of each conversation that had it, in its place; renaming does not",
        arguments: TestEngine.allCases
    )
    func versions(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            for id in ["a", "b", "c", "d"] {
                clock.advance(.seconds(1))
                try await chat.create(#"{"id":"\#(id)"}"#)
                if id != "d" { _ = try await chat.send(.put, "/v1/conversations/\(id)/tags/t") }
            }
            _ = try await chat.send(.delete, "/v1/conversations/c")
            let tag = try #require(try await chat.send(.get, "/v1/tags").json["data"]?.array?[0]["id"]?.string)
            let before = try await chat.send(.get, "/v1/conversations/a")
            clock.advance(.seconds(1))
            #expect(try await chat.send(.patch, "/v1/tags/\(tag)", #"{"name":"new"}"#).status == 200)
            let renamed = try await chat.send(.get, "/v1/conversations/a")
            #expect(try renamed.json["version"]?.integer == 2, "the name is the tag's")
            #expect(renamed.headers[.eTag] != before.headers[.eTag], "and the answer another")
            #expect(try await chat.send(.delete, "/v1/tags/\(tag)").status == 204)
            let after = try await chat.send(.get, "/v1/conversations/a")
            #expect(before.headers[.eTag]?.hasPrefix("\"v2-") == true)
            #expect(after.headers[.eTag] == "\"v3\"")
            #expect(try after.json["updated_at"]?.string == before.json["updated_at"]?.string)
            let stale = try await chat.send(
                .patch,
                "/v1/conversations/b",
                #"{"title":"x"}"#,
                headers: [.ifMatch: "\"v2\""]
            )
            #expect(stale.status == 412)
            #expect(try await chat.send(.get, "/v1/conversations/d").headers[.eTag] == "\"v1\"")
            // In the trash too: v2 with the tag, v3 there, v4 without, v5 back.
            #expect(try await chat.send(.post, "/v1/conversations/c/restore").headers[.eTag] == "\"v5\"")
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
