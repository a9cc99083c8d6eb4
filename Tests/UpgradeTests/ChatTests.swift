// Chat's rows from before the upgrade: unfinished work is finished, and rows are usable.
import Foundation
import HTTPTypes
import TestSupport
import Testing

@Suite("Upgrade: conversations")
struct ChatTests {
    @Test(
        "jobs finish what was half forked, half removed and half erased, and erase whom auth deleted meanwhile",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func jobs(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine, later: .seconds(7200), running: ["auth", "chat"]) { upgraded in
            let chat = upgraded.facts.chat
            let halves = "('\(chat.halfForked)', '\(chat.halfRemoved)')"
            try await eventually("the halves and the erasures are finished") {
                let left = try await upgraded.chat.count("conversations WHERE id IN \(halves)")
                let gone = [chat.halfErased.user, chat.behindCursor.user]
                    .compactMap { name in upgraded.facts.users.first { $0.name == name }?.id }
                let list = gone.map { "'\($0)'" }.joined(separator: ", ")
                let erased = try await upgraded.chat.count(
                    "erasures WHERE completed_at IS NOT NULL AND principal_id IN (\(list))"
                )
                return left == 0 && erased == 2
            }
            #expect(try await upgraded.chat.count("messages WHERE conversation_id IN \(halves)") == 0)
            #expect(try await upgraded.chat.count("conversations WHERE version <= 0") == 0)
            #expect(try await upgraded.chat.count("erasures WHERE completed_at IS NULL") == 0)
            for erasure in [chat.halfErased, chat.behindCursor] {
                try await upgraded.expectErased(erasure)
            }
            // Nothing else was lost. Usage is by the day, and this may be another one.
            for ask in upgraded.facts.asks where ask.service == "chat" && !ask.path.contains("/v1/usage") {
                try await upgraded.expectSame(ask)
            }
        }
    }

    @Test("before the jobs have run, no request sees what is half done", arguments: Fixture.all, TestEngine.allCases)
    func unseen(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let chat = upgraded.facts.chat
            #expect(try await upgraded.chat.count("conversations WHERE id = '\(chat.halfForked)' AND version = 0") == 1)
            #expect(
                try await upgraded.chat.count("conversations WHERE id = '\(chat.halfRemoved)' AND version < 0") == 1
            )
            for id in [chat.halfForked, chat.halfRemoved] {
                #expect(try await upgraded.chat.count("messages WHERE conversation_id = '\(id)'") > 0)
                let token = try upgraded.facts.token("halina")
                #expect(try await upgraded.chat.send(.get, "/v1/conversations/\(id)", token: token).status == 404)
                let restored = try await upgraded.chat.send(.post, "/v1/conversations/\(id)/restore", token: token)
                #expect(restored.status == 404)
            }
            // A tombstone is permanent, whatever rows are left.
            let erased = try upgraded.facts.token(chat.halfErased.user)
            #expect(try await upgraded.chat.count("erasures WHERE completed_at IS NULL") == 1)
            let refused = try await upgraded.chat.send(.post, "/v1/conversations", "{}", token: erased)
            #expect(refused.code == "user_inactive", "\(refused.text)")
        }
    }

    @Test(
        "a conversation goes on where it was: it is appended to, edited, voted on, found, forked",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func goesOn(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let path = "/v1/conversations/\(upgraded.facts.chat.live)"
            let token = try upgraded.facts.token("ada")
            func send(_ method: HTTPRequest.Method, _ path: String, _ body: String? = nil, _ status: Int = 200)
                async throws
                -> JSONValue
            {
                let answer = try await upgraded.chat.send(method, path, body, token: token)
                #expect(answer.status == status, "\(method) \(path): \(answer.text)")
                return answer.json
            }
            let before = try await send(.get, path)
            let said = try await send(.post, "\(path)/messages", #"{"role":"user","content":"Zirkumpolar"}"#, 201)
            #expect(said["parent_id"] == before["head_message_id"])
            guard case .number(let last) = before["last_seq"] else { throw Missing(what: "last_seq") }
            #expect(said["seq"] == .number(last + 1))
            let message = "\(path)/messages/\(try #require(said["id"].string))"
            _ = try await send(.patch, message, #"{"content":"Zirkumpolare Sterne"}"#)
            _ = try await send(.put, "\(message)/vote", #"{"value":"up"}"#)
            let found = try await send(.get, "/v1/search?q=zirkumpolare")
            #expect(found["data"].array.count == 1)
            let fork = try await send(.post, "\(path)/fork", nil, 201)
            #expect(fork["title"] == before["title"])
            _ = try await send(.put, "\(path)/tags", #"{"tags":["work","new"]}"#)
            #expect(try await send(.get, "/v1/conversations?tag=NEW")["data"].array.count == 1)
            // The trash restores a conversation, with the slug that is still free.
            let trashed = "/v1/conversations/\(upgraded.facts.chat.trashed)"
            #expect(try await send(.post, "\(trashed)/restore")["slug"].string == "given-back")
            #expect(try await send(.get, "/v1/search?q=rubbish")["data"].array.count == 1)
            let reservation = "/v1/usage/reservations/\(upgraded.facts.chat.reservation)"
            _ = try await send(.post, "\(reservation)/settle", #"{"tokens_total":7}"#, 204)
            _ = try await send(.delete, "\(path)?permanent=true", nil, 204)
            _ = try await send(.get, path, nil, 404)
        }
    }

    private struct Missing: Error { let what: String }
}

extension Upgraded {
    /// An erasure's receipt counts every row, including those that the previous program removed.
    func expectErased(_ erasure: Facts.Erasure) async throws {
        let user = try facts.user(erasure.user)
        let admin = try facts.token("root")
        let path = "/v1/chat/admin/users/\(user.id)/data/erasure"
        let receipt = try await chat.send(.get, path, token: admin).json
        #expect(receipt["status"].string == "completed", "\(erasure.user)")
        for (entity, count) in erasure.rows {
            #expect(receipt["removed"][entity] == .number(.init(count)), "\(erasure.user): \(entity)")
        }
        for rows in ["conversations WHERE owner_id", "tags WHERE owner_id", "changes WHERE principal_id"] {
            #expect(try await chat.count("\(rows) = '\(user.id)'") == 0, "\(erasure.user): \(rows)")
        }
    }
}
