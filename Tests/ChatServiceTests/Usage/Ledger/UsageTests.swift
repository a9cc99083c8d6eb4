// The ledger and its sums: what is billed, and that nothing is lost or given back.
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Usage")
struct UsageTests {
    private static let question = #"{"role":"user","content":"What makes the tides?"}"#
    private static func answer(_ tokensIn: Int, _ tokensOut: Int, model: String = "big") -> String {
        #"{"role":"assistant","content":"The moon.","model":"\#(model)","tokens_in":\#(tokensIn),"tokens_out":\#(tokensOut)}"#
    }

    @Test("messages and tokens are told by day, month and model", arguments: TestEngine.allCases)
    func story(engine: TestEngine) async throws {
        // 2027-01-15T08:00:00Z
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let id = try await chat.conversation(
                #"{"messages":[\#(Self.question),\#(Self.answer(10, 5))]}"#
            )
            try await chat.append(#"{"messages":[\#(Self.question),\#(Self.answer(1, 2, model: "small"))]}"#, to: id)
            clock.advance(.seconds(20 * 86_400))
            // A total above its parts counts as stated.
            try await chat.append(
                #"{"role":"assistant","content":"Hm.","model":"big","tokens_out":7,"tokens_total":100}"#,
                to: id
            )
            let days = try await chat.send(.get, "/v1/usage").json
            #expect(
                days["data"]?.array?.map(Self.row) == ["2027-01-15 2 11 7 18", "2027-02-04 0 0 7 100"]
            )
            #expect(days["total"].map(Self.row) == "- 2 11 14 118")
            #expect(days["tokens_lifetime"]?.integer == 118)
            let months = try await chat.send(.get, "/v1/usage?period=month").json
            #expect(months["data"]?.array?.map(Self.row) == ["2027-01 2 11 7 18", "2027-02 0 0 7 100"])
            #expect(months["from"]?.string == "2026-02-01")
            let models = try await chat.send(.get, "/v1/usage?group=model").json
            #expect(models["data"]?.array?.map(Self.row) == ["big 0 10 12 115", "small 0 1 2 3", "- 2 0 0 0"])
            #expect(models["has_more"]?.boolean == false)
            for (query, rows) in [
                (
                    "group=model,period",
                    ["2027-01-15 - 2 0 0 0", "2027-01-15 big 0 10 5 15", "2027-01-15 small 0 1 2 3"]
                        + ["2027-02-04 big 0 0 7 100"]
                ),
                (
                    "group=period,model&period=month&model=big",
                    ["2027-01 big 0 10 5 15", "2027-02 big 0 0 7 100"]
                ),
            ] {
                let both = try await chat.send(.get, "/v1/usage?\(query)").json
                #expect(both["data"]?.array?.map { Self.row($0, both: true) } == rows)
                #expect(both["has_more"]?.boolean == false)
            }
            let one = try await chat.send(.get, "/v1/usage?model=small&from=2027-01-15&to=2027-01-15").json
            #expect(one["data"]?.array?.map(Self.row) == ["2027-01-15 0 1 2 3"])
            let empty = try await chat.send(.get, "/v1/usage?from=2027-01-16&to=2027-02-03").json
            #expect(empty["data"]?.array?.isEmpty == true)
            #expect(empty["total"].map(Self.row) == "- 0 0 0 0")
            // Only the caller's own.
            let other = try await chat.send(.get, "/v1/usage", as: "other").json
            #expect(other["total"].map(Self.row) == "- 0 0 0 0")
        }
    }

    private static func row(_ element: JSONElement) -> String { row(element, both: false) }

    private static func row(_ element: JSONElement, both: Bool) -> String {
        let model = element["model"]?.string ?? "-"
        let name = both ? "\(element["period"]?.string ?? "?") \(model)" : element["period"]?.string ?? model
        let numbers = ["messages", "tokens_in", "tokens_out", "tokens_total"].map { element[$0]?.integer ?? -1 }
        return ([name] + numbers.map { "\($0)" }).joined(separator: " ")
    }

    @Test(
        "a range that is none is refused",
        arguments: [
            "from=yesterday", "from=2027-02-30", "from=2027-01-15T00:00:00Z", "from=2030-01-01", "period=week",
            "to=2000-13-01",
            "from=2020-01-01&to=2027-01-15", "group=user", "group=", "group=model,user", "group=model,model",
            "group=model&group=period",
            // Before the first valid day.
            "to=0000-01-01", "to=0001-01-29", "to=0001-12-30&period=month", "from=0000-12-31&to=0001-01-02",
        ]
    )
    func ranges(query: String) async throws {
        try await withChat(.sqlite, clock: TestClock().clock) { chat async throws in
            #expect(try await chat.send(.get, "/v1/usage?\(query)").status == 400)
        }
    }

    @Test("the first days there are and the last are ranges like others")
    func ends() async throws {
        try await withChat(.sqlite, clock: TestClock().clock) { chat async throws in
            for (query, from, to) in [
                ("to=0001-01-30", "0001-01-01", "0001-01-30"), ("from=0001-01-01&to=0001-01-01", "0001-01-01", nil),
                ("to=9999-12-31&period=month", "9998-12-01", "9999-12-31"),
            ] as [(String, String, String?)] {
                let answer = try await chat.send(.get, "/v1/usage?\(query)")
                #expect(answer.status == 200, "\(query): \(answer.text)")
                #expect(try answer.json["from"]?.string == from)
                #expect(try answer.json["to"]?.string == to ?? from)
            }
        }
    }

    @Test("atomic increments: a hundred parallel answers lose no token", arguments: TestEngine.allCases)
    func parallelIncrements(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let ids = try await inParallel(4) { _ in try await chat.conversation() }
            let statuses = try await inParallel(100) { index in
                try await chat.send(
                    .post,
                    "/v1/conversations/\(ids[index % 4])/messages",
                    #"{"messages":[\#(Self.question),\#(Self.answer(index, 1))]}"#,
                    node: index
                ).status
            }
            #expect(statuses.allSatisfy { $0 == 201 })
            let report = try await chat.send(.get, "/v1/usage").json
            #expect(report["total"].map(Self.row) == "- 100 4950 100 5050")
            #expect(report["tokens_lifetime"]?.integer == 5050)
            try await chat.expectLedgerAgrees()
            #expect(try await chat.ledger() == 100)
        }
    }

    @Test("the ledger outlives what it tells of, and deleting gives nothing back", arguments: TestEngine.allCases)
    func outlives(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[\#(Self.question),\#(Self.answer(10, 5))]}"#)
            let before = try await chat.send(.get, "/v1/usage").json["total"]?.raw
            #expect(try await chat.send(.delete, "/v1/conversations/\(id)").status == 204)
            // As when the trash is emptied.
            let purge = Statement("test.purge", .writes, ["id": .text], "DELETE FROM conversations WHERE id = :id")
            #expect(try await chat.database.run(purge.bind(["id": id])).affected == 1)
            #expect(try await chat.send(.get, "/v1/usage").json["total"]?.raw == before)
            #expect(try await chat.ledger() == 1)
            try await chat.expectLedgerAgrees()
        }
    }

    @Test("what was refused is not billed", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"id":"taken","role":"user","content":"x"}]}"#)
            let path = "/v1/conversations/\(id)/messages"
            let batch = #"{"messages":[\#(Self.answer(10, 5)),{"id":"taken","role":"user","content":"y"}]}"#
            #expect(try await chat.send(.post, path, batch).status == 409)
            #expect(
                try await chat.send(
                    .post,
                    path,
                    #"{"role":"assistant","content":"x","tokens_out":3,"parent_id":"nowhere"}"#
                ).status == 400
            )
            #expect(try await chat.send(.post, path, as: "other", Self.answer(10, 5)).status == 404)
            #expect(
                try await chat.send(.post, "/v1/conversations", #"{"id":"\#(id)","messages":[\#(Self.answer(1, 1))]}"#)
                    .status == 409
            )
            for user in ["owner", "other"] {
                let total = try await chat.send(.get, "/v1/usage", as: user).json["total"]
                #expect(total?["tokens_total"]?.integer == 0)
            }
            #expect(try await chat.ledger() == 0)
        }
    }

    @Test(
        "what a correction takes is taken from the day and the model that it was billed to, the newest first",
        arguments: TestEngine.allCases
    )
    func correctedModels(engine: TestEngine) async throws {
        // 2027-01-15T08:00:00Z
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let id = try await chat.conversation()
            let message = try #require(try await chat.append(Self.answer(60, 40, model: "a"), to: id)["id"]?.string)
            let path = "/v1/conversations/\(id)/messages/\(message)"
            func patch(_ json: String) async throws {
                let answer = try await chat.send(.patch, path, json)
                #expect(answer.status == 200, "\(answer.text)")
                try await chat.expectLedgerAgrees()
            }
            /// Models and days, each with what it has of tokens in, out and in all.
            func usage() async throws -> [String] {
                let models = try await chat.send(.get, "/v1/usage?group=model").json
                let days = try await chat.send(.get, "/v1/usage").json
                #expect(days["total"]?["tokens_total"]?.integer == days["tokens_lifetime"]?.integer)
                return ((models["data"]?.array ?? []) + (days["data"]?.array ?? [])).map(Self.row).sorted()
            }
            try await patch(#"{"model":"b"}"#)
            #expect(try await usage() == ["2027-01-15 0 60 40 100", "a 0 60 40 100"])
            // It was billed to `a`, and nothing is `b`'s yet.
            try await patch(#"{"tokens_in":10,"tokens_out":5}"#)
            #expect(try await usage() == ["2027-01-15 0 10 5 15", "a 0 10 5 15"])
            clock.advance(.seconds(86_400))
            try await patch(#"{"tokens_in":30}"#)
            #expect(
                try await usage() == ["2027-01-15 0 10 5 15", "2027-01-16 0 20 0 20", "a 0 10 5 15", "b 0 20 0 20"]
            )
            clock.advance(.seconds(86_400))
            try await patch(#"{"model":"c","tokens_in":25,"tokens_out":7}"#)
            #expect(
                try await usage() == [
                    "2027-01-15 0 10 5 15", "2027-01-16 0 15 0 17", "2027-01-17 0 0 2 0", "a 0 10 5 15", "b 0 15 0 17",
                    "c 0 0 2 0",
                ]
            )
            try await patch(#"{"tokens_in":4,"tokens_out":0}"#)
            #expect(
                try await usage() == [
                    "2027-01-15 0 4 0 4", "2027-01-16 0 0 0 0", "2027-01-17 0 0 0 0", "a 0 4 0 4", "b 0 0 0 0",
                    "c 0 0 0 0",
                ]
            )
        }
    }

    @Test(
        "a model that comes with the counts, at the end of a stream, is the one that is billed and given back",
        arguments: TestEngine.allCases
    )
    func streamedModel(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            try await chat.append(#"{"id":"a","role":"assistant","status":"in_progress","content":""}"#, to: id)
            let path = "/v1/conversations/\(id)/messages/a"
            for (patch, expected) in [
                (
                    #"{"content":"So.","status":"completed","model":"big","tokens_in":10,"tokens_out":5}"#,
                    ["big 0 10 5 15"]
                ),
                (#"{"tokens_in":4}"#, ["big 0 4 5 9"]),
                // The same change raises one number for the new model and lowers another of the old one.
                (#"{"model":"small","tokens_in":6,"tokens_out":2}"#, ["big 0 4 2 8", "small 0 2 0 0"]),
                (#"{"model":null,"tokens_in":null,"tokens_out":null}"#, ["- 0 0 0 0", "big 0 0 0 0", "small 0 0 0 0"]),
            ] {
                let answer = try await chat.send(.patch, path, patch)
                #expect(answer.status == 200, "\(answer.text)")
                let models = try await chat.send(.get, "/v1/usage?group=model").json["data"]?.array ?? []
                #expect(
                    models.map(Self.row).filter { $0 != "- 0 0 0 0" }.sorted() == expected.filter { $0 != "- 0 0 0 0" }
                )
                try await chat.expectLedgerAgrees()
            }
        }
    }

    @Test("a patch of a message's numbers bills the difference, and only if it happens", arguments: TestEngine.allCases)
    func correction(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let message = try #require(try await chat.append(Self.answer(10, 5), to: id)["id"]?.string)
            let path = "/v1/conversations/\(id)/messages/\(message)"
            let less = #"{"tokens_in":4,"tokens_out":2}"#
            // Not another user's, another conversation's or another version's, and not an empty change.
            #expect(try await chat.send(.patch, path, as: "other", less).status == 404)
            let elsewhere = "/v1/conversations/\(try await chat.conversation())/messages/\(message)"
            #expect(try await chat.send(.patch, elsewhere, less).status == 404)
            #expect(try await chat.send(.patch, path, less, headers: [.ifMatch: #""v7""#]).status == 412)
            #expect(try await chat.send(.patch, path, #"{"tokens_in":10}"#).status == 200)
            #expect(try await chat.ledger() == 1)
            #expect(try await chat.send(.patch, path, less).status == 200)
            #expect(try await chat.send(.patch, path, less).status == 200)
            #expect(try await chat.ledger() == 2)
            let report = try await chat.send(.get, "/v1/usage").json
            #expect(report["total"]?["tokens_total"]?.integer == 6)
            #expect(report["tokens_lifetime"]?.integer == 6)
            #expect(try await chat.send(.delete, path).status == 204)
            #expect(try await chat.send(.get, "/v1/usage").json["total"]?["tokens_total"]?.integer == 6)
            try await chat.expectLedgerAgrees()
        }
    }
}

extension Chat {
    func ledger() async throws -> Int64 {
        let statement = Statement("test.ledger", .reads, "SELECT COUNT(*) AS n FROM usage_events")
        return try #require(try await database.run(statement.bind()).first).integer("n")
    }

    /// The ledger, the sums and the principals must agree.
    func expectLedgerAgrees() async throws {
        let statement = Statement(
            "test.ledger_agrees",
            .reads,
            """
            SELECT p.id, p.tokens_total,
                CAST(COALESCE((SELECT SUM(e.tokens_total) FROM usage_events e WHERE e.user_id = p.id), 0) AS bigint)
                    AS of_ledger,
                CAST(COALESCE((SELECT SUM(t.tokens_total) FROM usage_totals t WHERE t.user_id = p.id), 0) AS bigint)
                    AS of_totals
            FROM principals p
            """
        )
        let rows = try await database.run(statement.bind()).rows
        #expect(!rows.isEmpty)
        for row in rows {
            let (id, all) = (try row.text("id"), try row.integer("tokens_total"))
            #expect(try row.integer("of_ledger") == all, "\(id)")
            #expect(try row.integer("of_totals") == all, "\(id)")
        }
    }
}
