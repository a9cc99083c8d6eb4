import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Votes")
struct VoteTests {
    @Test("a vote is set, changed, told and taken back", arguments: TestEngine.allCases)
    func life(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let items = (0..<3).map { #"{"role":"assistant","content":"\#($0)","id":"m-\#($0)"}"# }
            try await chat.create(#"{"id":"c","messages":[\#(items.joined(separator: ","))]}"#)
            let path = "/v1/conversations/c"
            let up = try await chat.send(.put, path + "/messages/m-1/vote", #"{"value":"UP"}"#)
            #expect(up.status == 200)
            #expect(try up.json["value"]?.string == "up")
            #expect(try up.json["user_id"]?.string == "owner")
            clock.advance(.seconds(1))
            let down = try await chat.send(.put, path + "/messages/m-1/vote", #"{"value":"down"}"#)
            #expect(try down.json["value"]?.string == "down")
            #expect(try down.json["created_at"]?.raw == up.json["created_at"]?.raw)
            #expect(try down.json["updated_at"]?.raw != up.json["updated_at"]?.raw)
            _ = try await chat.send(.put, path + "/messages/m-0/vote", #"{"value":"up"}"#)
            let page = try await chat.send(.get, path + "/votes?count=true&limit=1").json
            #expect(page["total"]?.integer == 2)
            let all = try await chat.pages(path + "/votes?limit=1").flatMap { $0 }
            #expect(all.map { $0["message_id"]?.string } == ["m-1", "m-0"])
            let both = try await chat.send(.get, path + "?include=messages,votes").json
            #expect(both["votes"]?.array?.map { $0["value"]?.string } == ["down", "up"])
            #expect(both["messages"]?.array?.count == 3)
            #expect(try await chat.send(.get, path + "?include=votes").json["messages"] == nil)
            let none = try await chat.send(.put, path + "/messages/m-1/vote", #"{"value":"none"}"#)
            #expect(try none.json["value"]?.string == "none")
            #expect(try none.json["created_at"]?.isNull == true)
            for _ in 0..<2 { #expect(try await chat.send(.delete, path + "/messages/m-0/vote").status == 204) }
            #expect(try await chat.pages(path + "/votes?limit=10").flatMap { $0 }.isEmpty)
            #expect(try await chat.rows("votes") == 0)
            for body in ["{}", #"{"value":"sideways"}"#, #"{"value":1}"#, #"{"value":"up","x":1}"#] {
                #expect(try await chat.send(.put, path + "/messages/m-0/vote", body).status == 400, "\(body)")
            }
        }
    }

    @Test(
        "S3: a vote goes to a living message of the caller's conversation in the path, and to no other",
        arguments: TestEngine.allCases
    )
    func s3Child(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let own = #"{"id":"mine","messages":[{"role":"assistant","content":"x","id":"m-mine"}]}"#
            try await chat.create(own)
            try await chat.create(#"{"id":"other","messages":[{"role":"assistant","content":"x","id":"m-other"}]}"#)
            let theirs = #"{"id":"theirs","messages":[{"role":"assistant","content":"x","id":"m-theirs"}]}"#
            try await chat.create(theirs, as: "stranger")
            let delete = Statement(
                "test.delete",
                .writes,
                ["id": .text, "at": .instant],
                "UPDATE messages SET deleted_at = :at WHERE id = :id"
            )
            try await chat.append(#"{"role":"user","content":"x","id":"m-gone"}"#, to: "mine")
            _ = try await chat.send(.put, "/v1/conversations/mine/messages/m-gone/vote", #"{"value":"up"}"#)
            _ = try await chat.database.run(delete.bind(["id": "m-gone", "at": Instant(seconds: 1)]))
            for (conversation, message) in [
                ("mine", "m-other"), ("mine", "m-theirs"), ("other", "m-mine"), ("theirs", "m-theirs"),
                ("theirs", "m-mine"), ("mine", "m-gone"), ("mine", "nowhere"), ("nowhere", "m-mine"),
            ] {
                let path = "/v1/conversations/\(conversation)/messages/\(message)/vote"
                for (method, body) in [
                    (.put, #"{"value":"up"}"#), (.put, #"{"value":"none"}"#), (.delete, nil),
                ] as [(HTTPRequest.Method, String?)] {
                    let answer = try await chat.send(method, path, body)
                    #expect(answer.status == 404, "\(method) \(path)")
                    #expect(answer.code == "not_found")
                }
            }
            // A vote on a deleted message is hidden.
            #expect(try await chat.pages("/v1/conversations/mine/votes?limit=10").flatMap { $0 }.isEmpty)
            #expect(try await chat.send(.get, "/v1/conversations/theirs/votes").status == 404)
            // The owner's own vote does not interfere.
            let vote = try await chat.send(
                .put,
                "/v1/conversations/theirs/messages/m-theirs/vote",
                as: "stranger",
                #"{"value":"down"}"#
            )
            #expect(vote.status == 200)
        }
    }

    @Test("of 16 concurrent votes of one person one is kept", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            try await chat.create(#"{"id":"c","messages":[{"role":"assistant","content":"x","id":"m"}]}"#)
            let statuses = try await inParallel(16) { index in
                let value = index.isMultiple(of: 2) ? "up" : "down"
                let path = "/v1/conversations/c/messages/m/vote"
                return try await chat.send(.put, path, #"{"value":"\#(value)"}"#, node: index).status
            }
            #expect(statuses.allSatisfy { $0 == 200 })
            #expect(try await chat.rows("votes") == 1)
        }
    }
}
