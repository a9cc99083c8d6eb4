import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Changing messages")
struct MessageChangeTests {

    @Test("a conversation without a message has no last one", arguments: TestEngine.allCases)
    func lastMessage(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for (id, path) in [("t", "messages?after_seq=0"), ("d", "messages/d-2")] {
                let body = ["1", "2"].map { #"{"id":"\#(id)-\#($0)","role":"user","content":"x"}"# }
                try await chat.create(#"{"id":"\#(id)","messages":[\#(body.joined(separator: ","))]}"#)
                if id == "d" {
                    _ = try await chat.send(.delete, "/v1/conversations/d/messages/d-1")
                    let one = try await chat.send(.get, "/v1/conversations/d").json
                    #expect(one["last_message_at"]?.string?.isEmpty == false)
                }
                #expect(try await chat.send(.delete, "/v1/conversations/\(id)/\(path)").status < 300)
                let row = try await chat.send(.get, "/v1/conversations/\(id)").json
                #expect(row["message_count"]?.integer == 0)
                #expect(row["last_message_at"]?.isNull == true, "\(path)")
            }
        }
    }

    @Test(
        "a patch changes what it names, counts the version, and leaves the rest byte for byte",
        arguments: TestEngine.allCases
    )
    func patch(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let id = try await chat.conversation()
            let parts = #"[ {"z":1,"type":"x-new", "n":12345678901234567890.10, "a":"\u00e9"} ]"#
            try await chat.append(
                #"{"id":"m","role":"assistant","type":"TOOL_CALL","parts":\#(parts),"model":"one","metadata":{"b": 1,"a":2}}"#,
                to: id
            )
            let path = "/v1/conversations/\(id)/messages/m"
            clock.advance(.seconds(1))
            let patched = try await chat.send(
                .patch,
                path,
                #"{"status":"Incomplete","model":"two","metadata":{"c":3,"b":null}}"#
            )
            #expect(patched.status == 200)
            #expect(patched.headers[.eTag] == "\"v2\"")
            let row = try patched.json
            #expect(row["status"]?.string == "incomplete")
            #expect(row["model"]?.string == "two")
            #expect(row["type"]?.string == "tool_call")
            #expect(row["metadata"]?.raw == #"{"a":2,"c":3}"#)
            #expect(row["parts"]?.raw == parts)
            #expect(row["edited_at"]?.isNull == true)
            #expect(row["updated_at"]?.string != row["created_at"]?.string)
            #expect(try await chat.send(.get, path).text == patched.text)
            // As parts and as plain text.
            let changed = #"[{"type":"text","text":"one"},{"type":"text","text":"two"}]"#
            let edited = try await chat.send(.patch, path, #"{"parts":\#(changed),"model":null,"type":"error"}"#).json
            #expect(edited["parts"]?.raw == changed)
            #expect(edited["content"]?.string == "one\ntwo")
            #expect(edited["edited_at"]?.string == edited["updated_at"]?.string)
            #expect(edited["model"]?.isNull == true)
            #expect(edited["type"]?.string == "error")
            let plain = try await chat.send(.patch, path, #"{"content":"plain"}"#).json
            #expect(plain["content"]?.string == "plain")
            #expect(plain["parts"]?.raw == #"[{"type":"text","text":"plain"}]"#)
            // Parts without text yield no text.
            let silent = try await chat.send(.patch, path, #"{"parts":[{"type":"x"}]}"#).json
            #expect(silent["content"]?.isNull == true)
            #expect(silent["version"]?.integer == 5)
            // An empty patch only reads.
            #expect(try await chat.send(.patch, path, "{}").json["version"]?.integer == 5)
            #expect(try await chat.send(.get, "/v1/conversations/\(id)").json["version"]?.integer == 1)
        }
    }

    @Test("a reply that is written piece by piece is completed, not edited", arguments: TestEngine.allCases)
    func streaming(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            let begun = try await chat.append(
                #"{"id":"m","role":"assistant","status":"in_progress","content":""}"#,
                to: id
            )
            #expect(begun["status"]?.string == "in_progress")
            let path = "/v1/conversations/\(id)/messages/m"
            _ = try await chat.send(.patch, path, #"{"content":"Mostly"}"#)
            let done = try await chat.send(
                .patch,
                path,
                #"{"content":"Mostly the moon.","status":"completed","tokens_in":12,"tokens_out":4}"#,
                headers: [.ifMatch: "\"v2\""]
            )
            #expect(done.status == 200)
            #expect(try done.json["edited_at"]?.isNull == true)
            #expect(try done.json["status"]?.string == "completed")
            #expect(try done.json["tokens_total"]?.integer == 16)
            // The same text is no edit; another one is.
            let same = try await chat.send(.patch, path, #"{"content":"Mostly the moon."}"#).json
            #expect(same["edited_at"]?.isNull == true)
            let edited = try await chat.send(.patch, path, #"{"content":"The moon."}"#).json
            #expect(edited["edited_at"]?.string != nil)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("token counts move the conversation's and the principal's with them", arguments: TestEngine.allCases)
    func tokens(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"m","tokens_in":5}]}"#
            )
            let path = "/v1/conversations/\(id)"
            // (patch, the message's in/out/total, the conversation's in/out, the principal's total)
            let table: [(String, [Int64?], [Int64], Int64)] = [
                (#"{"tokens_out":7}"#, [5, 7, 12], [5, 7], 12),
                (#"{"tokens_total":20}"#, [5, 7, 20], [5, 7], 20),
                (#"{"tokens_in":1}"#, [1, 7, 8], [1, 7], 8),
                (#"{"tokens_in":null}"#, [nil, 7, 7], [0, 7], 7),
                (#"{"tokens_out":null}"#, [nil, nil, nil], [0, 0], 0),
                (#"{"tokens_in":2,"tokens_out":3,"tokens_total":4}"#, [2, 3, 4], [2, 3], 4),
                (#"{"content":"y"}"#, [2, 3, 4], [2, 3], 4),
                (#"{"tokens_total":null}"#, [2, 3, nil], [2, 3], 0),
                (#"{"tokens_in":1000000000}"#, [1_000_000_000, 3, 1_000_000_003], [1_000_000_000, 3], 1_000_000_003),
            ]
            for (patch, own, sums, total) in table {
                let message = try await chat.send(.patch, "\(path)/messages/m", patch).json
                #expect(["tokens_in", "tokens_out", "tokens_total"].map { message[$0]?.integer } == own, "\(patch)")
                let row = try await chat.send(.get, path).json
                #expect(["tokens_in", "tokens_out"].map { row[$0]?.integer } == sums, "\(patch)")
                #expect(try await chat.tokensTotal("owner") == total, "\(patch)")
                #expect(try await ChatInvariant.broken(in: chat.database) == [], "\(patch)")
            }
        }
    }

    @Test(
        "If-Match is honoured by patch and delete, and a refused change moves no counter",
        arguments: TestEngine.allCases
    )
    func preconditions(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(
                #"{"messages":[{"role":"user","content":"x","id":"m","tokens_in":5}]}"#
            )
            let path = "/v1/conversations/\(id)/messages/m"
            for stale in ["\"v2\"", "W/\"v1\"", "\"other\""] {
                let answer = try await chat.send(.patch, path, #"{"tokens_in":9}"#, headers: [.ifMatch: stale])
                #expect(answer.status == 412)
                #expect(answer.code == "precondition_failed")
                let deletion = try await chat.send(.delete, path, headers: [.ifMatch: stale])
                let shown = try await chat.send(.get, path).json.raw
                for refusal in [answer, deletion] {
                    #expect(refusal.status == 412)
                    #expect(refusal.headers[.eTag] == "\"v1\"")
                    #expect(try refusal.json["current"]?.raw == shown)
                }
            }
            #expect(try await chat.send(.patch, path, #"{"tokens_in":6}"#, headers: [.ifMatch: "*"]).status == 200)
            #expect(
                try await chat.send(.patch, path, #"{"status":"error"}"#, headers: [.ifMatch: "\"v2\""]).status == 200
            )
            #expect(try await chat.tokensTotal("owner") == 6)
            #expect(try await chat.send(.delete, path, headers: [.ifMatch: "\"v3\""]).status == 204)
            #expect(try await chat.send(.delete, path, headers: [.ifMatch: "\"v4\""]).status == 404)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test(
        "metadata is merged up to its limit, and nothing else is written when it is passed",
        arguments: TestEngine.allCases
    )
    func metadataLimit(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let path = "/v1/conversations/\(id)/messages/m"
            let half = String(repeating: "x", count: 9000)
            #expect(try await chat.send(.patch, path, #"{"metadata":{"a":"\#(half)"}}"#).status == 200)
            let over = try await chat.send(.patch, path, #"{"metadata":{"b":"\#(half)"},"content":"y"}"#)
            #expect(over.violations == ["metadata too_long"])
            #expect(try await chat.send(.get, path).json["content"]?.string == "x")
        }
    }

    @Test("a deleted message leaves its number, and its children follow its parent", arguments: TestEngine.allCases)
    func delete(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let items = (1...4).map {
                #"{"role":"user","content":"secret \#($0)","id":"m\#($0)","tokens_in":\#($0),"metadata":{"k":"secret"}}"#
            }
            let id = try await chat.conversation(#"{"messages":[\#(items.joined(separator: ","))]}"#)
            let path = "/v1/conversations/\(id)"
            #expect(try await chat.send(.delete, "\(path)/messages/m2").status == 204)
            #expect(try await chat.send(.get, "\(path)/messages/m2").status == 404)
            #expect(try await chat.send(.delete, "\(path)/messages/m2").status == 404)
            #expect(try await chat.send(.patch, "\(path)/messages/m2", #"{"content":"back"}"#).status == 404)
            let child = try await chat.send(.get, "\(path)/messages/m3").json
            #expect(child["parent_id"]?.string == "m1")
            #expect(child["version"]?.integer == 2)
            #expect(child["content"]?.string == "secret 3")
            #expect(try await chat.ids("\(path)/messages?leaf=head") == ["m1", "m3", "m4"])
            var row = try await chat.send(.get, path).json
            #expect(row["message_count"]?.integer == 3)
            #expect(row["last_seq"]?.integer == 4)
            #expect(row["tokens_in"]?.integer == 8)
            #expect(row["head_message_id"]?.string == "m4")
            #expect(try await chat.tokensTotal("owner") == 10)
            // The head falls back to its parent, and at last to nothing.
            for (gone, head) in [("m4", "m3"), ("m1", "m3"), ("m3", nil)] as [(String, String?)] {
                #expect(try await chat.send(.delete, "\(path)/messages/\(gone)").status == 204)
                row = try await chat.send(.get, path).json
                #expect(row["head_message_id"]?.string == head)
                #expect(try await ChatInvariant.broken(in: chat.database) == [])
            }
            #expect(try await chat.ids("\(path)/messages?leaf=head") == [])
            // A deleted message's id stays taken, and a new message gets the next number.
            let again = try await chat.send(.post, "\(path)/messages", #"{"role":"user","content":"x","id":"m2"}"#)
            #expect(again.code == "id_taken")
            let next = try await chat.append(#"{"role":"user","content":"x"}"#, to: id)
            #expect(next["seq"]?.integer == 5)
            #expect(next["parent_id"]?.isNull == true)
        }
    }

    @Test("a deleted root's head goes to the newest message of another branch", arguments: TestEngine.allCases)
    func otherBranch(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for root in ["r1", "r2", "r3"] {
                try await chat.append(#"{"id":"\#(root)","role":"user","content":"x","parent_id":null}"#, to: id)
            }
            let path = "/v1/conversations/\(id)"
            _ = try await chat.send(.patch, path, #"{"head_message_id":"r1"}"#)
            #expect(try await chat.send(.delete, "\(path)/messages/r1").status == 204)
            #expect(try await chat.send(.get, path).json["head_message_id"]?.string == "r3")
        }
    }

    @Test("a truncation deletes what comes after a number, in any branch", arguments: TestEngine.allCases)
    func truncate(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try await chat.conversation()
            for (message, parent) in [("a", "null"), ("b", #""a""#), ("c", #""b""#), ("b2", #""a""#), ("c2", #""b2""#)]
            {
                try await chat.append(
                    #"{"id":"\#(message)","role":"user","content":"x","parent_id":\#(parent),"tokens_in":1,"tokens_out":2}"#,
                    to: id
                )
            }
            let path = "/v1/conversations/\(id)"
            // The head's branch loses c2 and b2, so its nearest ancestor is the head.
            let answer = try await chat.send(.delete, "\(path)/messages?after_seq=3")
            #expect(answer.status == 200)
            #expect(answer.text == #"{"deleted":2,"message_count":3,"last_seq":5,"head_message_id":"a"}"#)
            #expect(try await chat.ids("\(path)/messages") == ["a", "b", "c"])
            let row = try await chat.send(.get, path).json
            #expect(row["tokens_in"]?.integer == 3)
            #expect(row["tokens_out"]?.integer == 6)
            #expect(try await chat.tokensTotal("owner") == 15)
            // A repetition finds nothing, and neither does a number past the end.
            for sequence in [3, 5, 2_147_483_647] {
                let none = try await chat.send(.delete, "\(path)/messages?after_seq=\(sequence)")
                #expect(none.text == #"{"deleted":0,"message_count":3,"last_seq":5,"head_message_id":"a"}"#)
            }
            #expect(try await chat.append(#"{"role":"user","content":"x"}"#, to: id)["seq"]?.integer == 6)
            let all = try await chat.send(.delete, "\(path)/messages?after_seq=0")
            #expect(all.text == #"{"deleted":4,"message_count":0,"last_seq":6,"head_message_id":null}"#)
            #expect(try await chat.send(.get, "\(path)/messages?count=true").json["total"]?.integer == 0)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test(
        "a truncation of more than a unit's messages leaves a whole conversation after each unit",
        arguments: TestEngine.allCases
    )
    func units(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat in
            let counting = try #require(chat.database as? CountingDatabase)
            let id = try await chat.conversation()
            for _ in 0..<8 {
                let items = (0..<100).map { _ in #"{"role":"user","content":"x","tokens_in":1}"# }
                try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id)
            }
            counting.forget()
            let answer = try await chat.send(.delete, "/v1/conversations/\(id)/messages?after_seq=50").json
            #expect(answer["deleted"]?.integer == 750)
            // 100, 500, and the 150 that are left.
            #expect(counting.transactions.count == 3)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            try await chat.append(#"{"messages":[{"role":"user","content":"x"}]}"#, to: id)
            // As a truncation leaves it that ended after its first transaction.
            let items = (0..<100).map { _ in #"{"role":"user","content":"x","tokens_in":1}"# }
            for _ in 0..<2 { try await chat.append(#"{"messages":[\#(items.joined(separator: ","))]}"#, to: id) }
            counting.forget()
            _ = try await chat.send(.delete, "/v1/conversations/\(id)/messages?after_seq=901")
            // Exactly one transaction's messages.
            #expect(counting.transactions.count == 1)
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
        }
    }

    @Test("a patch of the status rewrites no index on PostgreSQL", .needsPostgres)
    func hotUpdate() async throws {
        try await withChat(.postgres) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"x","id":"m"}]}"#)
            let (heapOnly, all) = try await chat.database.holdingTransaction { transaction in
                let change = Statement(
                    "test.patch",
                    .writes,
                    ["id": .text, "conversation": .text],
                    "UPDATE messages SET status = 'error', version = version + 1, updated_at = now() WHERE id = :id AND conversation_id = :conversation"
                )
                try transaction.run(change.bind(["id": "m", "conversation": id]))
                let counts = Statement(
                    "test.hot",
                    .reads,
                    "SELECT n_tup_hot_upd AS hot, n_tup_upd AS all_updates FROM pg_stat_xact_user_tables WHERE relname = 'messages'"
                )
                let row = try #require(try transaction.run(counts.bind()).first)
                return (try row.integer("hot"), try row.integer("all_updates"))
            }
            #expect(all == 1)
            #expect(heapOnly == 1)
        }
    }
}

extension Chat {
    func tokensTotal(_ user: String) async throws -> Int64 {
        let statement = Statement(
            "test.spent",
            .reads,
            ["id": .text],
            "SELECT tokens_total FROM principals WHERE id = :id"
        )
        return try #require(try await database.run(statement.bind(["id": user])).first).integer("tokens_total")
    }
}
