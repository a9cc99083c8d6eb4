// The binary on a database whose full-text index SQLite cannot open.
import Foundation
import NIOHTTP1
import Storage
import TestSupport
import Testing

@Suite("A damaged search index under the binary")
struct SearchIndexFaultTests {
    @Test("a database that 2,000 erasures of an older program left is repaired at the start, and serves meanwhile")
    func repaired() async throws {
        let installation = try await Installation(.sqlite, Installation.quickHashing)
        var service = try await installation.startDev()
        let token = try await installation.auth.signUp("ada@example.com")["access_token"].string
        let made = try await installation.chat.post(
            "/v1/conversations",
            ["id": "c", "title": "Ebb", "messages": [["role": "user", "content": "tide one"]]],
            token: token
        )
        #expect(made.status == 201, "\(made.text)")
        #expect(try await service.terminate() == .status(0))
        try await installation.withDatabase("chat") { database async throws in
            for table in ["search_messages", "search_titles"] {
                #expect(try await IndexDamage.addLevels(to: table, in: database) > 500)
            }
        }
        service = try await installation.startDev()
        // At once, whether the rebuild is over or not.
        let appended = try await installation.chat.post(
            "/v1/conversations/c/messages",
            ["role": "user", "content": "tide two"],
            token: token
        )
        #expect(appended.status == 201, "\(appended.text)")
        let created = try await installation.chat.post("/v1/conversations", ["title": "tide"], token: token)
        #expect(created.status == 201, "\(created.text)")
        try await eventually("the search answers") {
            let answer = try await installation.chat.get("/v1/search?q=tide", token: token)
            if answer.status == 503 { #expect(answer["code"].string == "search_rebuilding") }
            return answer.status == 200
        }
        #expect(try await installation.chat.get("/v1/search?q=tide", token: token)["data"].array.count == 3)
        #expect(try await installation.chat.send("DELETE", "/v1/chat/data", token: token).status == 200)
        #expect(try await installation.chat.get("/readyz").status == 200)
        #expect(try await service.terminate() == .status(0))
        try await installation.withDatabase("chat") { database async throws in
            #expect(try await ChatInvariant.broken(in: database) == [])
            for table in ["search_messages", "search_titles"] { try await IndexDamage.check(table, in: database) }
        }
    }

    @Test("the command rebuilds the index while the service runs", arguments: Engine.allCases)
    func command(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        let service = try await installation.startDev()
        let token = try await installation.auth.signUp("ada@example.com")["access_token"].string
        for number in 0..<5 {
            let body: JSONValue = [
                "title": "tide", "messages": [["role": "user", "content": .string("tide \(number)")]],
            ]
            #expect(try await installation.chat.post("/v1/conversations", body, token: token).status == 201)
        }
        let output = try await installation.run("search", "rebuild")
        #expect(output.contains(engine == .sqlite ? "rows  " : "rebuilt"), "\(output)")
        try await eventually("the search answers") {
            try await installation.chat.get("/v1/search?q=tide", token: token).status == 200
        }
        #expect(try await installation.chat.get("/v1/search?q=tide", token: token)["data"].array.count == 10)
        _ = try await installation.run("search", "purge")
        #expect(try await installation.chat.get("/v1/search?q=tide", token: token)["data"].array.count == 10)
        #expect(try await service.terminate() == .status(0))
        try await installation.withDatabase("chat") { database async throws in
            #expect(try await ChatInvariant.broken(in: database) == [])
        }
    }
}
