// The previous program's answers still hold, with its tokens, cookies, cursors and rows.
import Foundation
import HTTPTypes
import TestSupport
import Testing

@Suite("Upgrade: answers")
struct AnswerTests {
    @Test("every answer that was noted is given again", arguments: Fixture.all, TestEngine.allCases)
    func asks(fixture: Fixture, engine: TestEngine) async throws {
        // Auth judges some tokens by the events that it follows, and its answers differ a little then.
        try await withUpgraded(fixture, engine, running: ["auth"]) { upgraded in
            #expect(upgraded.facts.asks.count > 100)
            for ask in upgraded.facts.asks { try await upgraded.expectSame(ask) }
        }
    }

    /// By their text: the order in which a program writes them is its own.
    private static func sorted(_ lines: [JSONValue]) throws -> [JSONValue] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let texts = try lines.map { String(decoding: try encoder.encode($0), as: UTF8.self) }
        return zip(texts, lines).sorted { $0.0 < $1.0 }.map(\.1)
    }

    @Test("an export has every line that it had", arguments: Fixture.all, TestEngine.allCases)
    func exports(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let export = upgraded.facts.chat.export
            let token = try upgraded.facts.token(export.user)
            let answer = try await upgraded.chat.send(.get, "/v1/chat/export", token: token)
            let lines = answer.lines.filter { $0["entity"].string != "header" }
            let (before, now) = (try Self.sorted(export.lines), try Self.sorted(lines))
            #expect(JSONValue.array(before).differences(to: .array(now)) == [])
        }
    }

    @Test(
        "a request that is sent again with its key is answered again, and done once",
        arguments: Fixture.all,
        TestEngine.allCases
    )
    func repeats(fixture: Fixture, engine: TestEngine) async throws {
        try await withUpgraded(fixture, engine) { upgraded in
            let replayed = try #require(HTTPField.Name("Idempotency-Replayed"))
            let tables = ["conversations", "messages", "quota_reservations", "usage_events", "idempotency_keys"]
            var before: [Int] = []
            for table in tables { before.append(try await upgraded.chat.count(table)) }
            for sent in upgraded.facts.repeats {
                let token = try upgraded.facts.token(sent.user)
                let headers = ["Idempotency-Key": sent.key]
                let again = try await upgraded.chat.send(.post, sent.path, sent.body, token: token, headers: headers)
                #expect(again.status == 201, "\(sent.path): \(again.text)")
                #expect(again.headers[replayed] == "true", "\(sent.path)")
                #expect(sent.answer.differences(to: again.json) == [], "\(sent.path)")
                // The same JSON, but another request.
                let other = sent.body.replacing("{", with: "{ ", maxReplacements: 1)
                let refused = try await upgraded.chat.send(.post, sent.path, other, token: token, headers: headers)
                #expect(refused.code == "idempotency_key_reused", "\(sent.path): \(refused.text)")
            }
            var after: [Int] = []
            for table in tables { after.append(try await upgraded.chat.count(table)) }
            #expect(before == after)
        }
    }
}

extension Upgraded {
    /// `name`: of a user and of the user's token.
    private func isInactive(_ name: String?) async throws -> Bool {
        guard let user = facts.users.first(where: { $0.name == name }) else { return false }
        return try await auth.count("users WHERE id = '\(user.id)' AND is_active") == 0
    }

    func expectSame(_ ask: Facts.Ask) async throws {
        let service = ask.service == "auth" ? auth : chat
        let answer = try await service.send(
            try #require(HTTPRequest.Method(ask.method)),
            ask.path,
            ask.body,
            token: try ask.token.map { try facts.token($0) },
            headers: ask.headers ?? [:]
        )
        let name = "\(ask.method) \(ask.path) with \(ask.token ?? "no token")"
        // One verdict for a user who is deactivated or deleted; the program before had several.
        if ask.service == "auth", answer.status == 403, ask.status == 401, try await isInactive(ask.token) {
            #expect(answer.code == "user_inactive", "\(name): \(answer.text)")
            return
        }
        #expect(answer.status == ask.status, "\(name): \(answer.text)")
        if let expected = ask.answer {
            let meant = ask.path.hasPrefix("/v1/changes") ? Self.withTrash(expected) : expected
            #expect(meant.differences(to: answer.json) == [], "\(name)")
        }
        for (header, value) in ask.answerHeaders ?? [:] {
            #expect(answer.headers[try #require(HTTPField.Name(header))] == value, "\(name): \(header)")
        }
    }

    /// Changes as they are named today: what went to the trash is not deleted, and what is deleted has no version.
    private static func withTrash(_ answer: JSONValue) -> JSONValue {
        guard case .object(var members) = answer else { return answer }
        members["data"] = .array(
            answer["data"].array.map { change in
                guard case .object(var row) = change, change["entity"] == "conversation", change["op"] == "delete"
                else {
                    return change
                }
                let isGone = change["version"] == .number(-1)
                row["op"] = isGone ? "delete" : "trash"
                row["version"] = isGone ? .null : change["version"]
                return .object(row)
            }
        )
        return .object(members)
    }
}
