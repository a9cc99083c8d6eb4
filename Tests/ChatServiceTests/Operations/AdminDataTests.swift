// Statistics and erasure for admins only, and the vulnerability classes of routes about all of a person's data.
import HTTPTypes
import Hummingbird
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Admin data")
struct AdminDataTests {
    private func admin(_ chat: Chat) throws -> HTTPFields {
        [.authorization: "Bearer \(try chat.tokens.token(for: "root", ["role": #""admin""#]))"]
    }

    private static let routes: [(HTTPRequest.Method, String)] = [
        (.get, "/v1/chat/admin/stats"), (.get, "/v1/chat/admin/users/owner/data"),
        (.delete, "/v1/chat/admin/users/owner/data"), (.get, "/v1/chat/admin/users/owner/data/erasure"),
    ]

    @Test("only the role admin gets in, whoever asks", arguments: TestEngine.allCases)
    func roles(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create(#"{"title":"secret"}"#)
            for (method, path) in Self.routes {
                #expect(try await chat.send(method, path, as: nil).status == 401, "\(path)")
                // The owner too: these are not about the caller.
                for (user, changes) in [
                    ("owner", [:]), ("stranger", ["kind": #""guest""#]), ("stranger", ["role": #""premium""#]),
                    ("stranger", ["role": #""Admin""#]), ("stranger", ["role": #"["admin"]"#]),
                    ("stranger", ["role": Optional<String>.none]),
                ] as [(String, [String: String?])] {
                    let token = try chat.tokens.token(for: user, changes)
                    let answer = try await chat.send(
                        method,
                        path,
                        as: nil,
                        headers: [.authorization: "Bearer \(token)"]
                    )
                    #expect(
                        [401, 403].contains(answer.status) && !answer.text.contains("secret"),
                        "\(path) \(changes)"
                    )
                    if answer.status == 403 { #expect(answer.code == "role_required") }
                }
                // A service's own token is not a user's.
                let service = try chat.tokens.token(for: "client_x", ["role": #""admin""#, "sid": nil])
                let answer = try await chat.send(method, path, as: nil, headers: [.authorization: "Bearer \(service)"])
                #expect(answer.status == 401, "\(path)")
            }
            #expect(try await chat.rows(of: "owner") == [1, 0])
        }
    }

    @Test("numbers of everybody and of one, without a word of anybody's", arguments: TestEngine.allCases)
    func numbers(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let headers = try admin(chat)
            let message = #"{"role":"user","content":"secret words","tokens_in":5}"#
            try await chat.create(#"{"title":"secret title","messages":[\#(message),\#(message)]}"#)
            let trashed = try await chat.conversation(#"{"messages":[\#(message)]}"#)
            try #require(try await chat.send(.delete, "/v1/conversations/\(trashed)").status == 204)
            try await chat.create(as: "second")
            let stats = try await chat.send(.get, "/v1/chat/admin/stats", as: nil, headers: headers)
            #expect(stats.status == 200)
            #expect(stats.headers[.cacheControl] == "no-store")
            #expect(try stats.json["users"]?.integer == 2)
            #expect(try stats.json["conversations"]?.integer == 3)
            #expect(try stats.json["trashed_conversations"]?.integer == 1)
            #expect(try stats.json["messages"]?.integer == 3)
            #expect(try stats.json["tokens_total"]?.integer == 15)
            let path = "/v1/chat/admin/users/owner/data"
            let summary = try await chat.send(.get, path, as: nil, headers: headers)
            #expect(try summary.json["conversations"]?.integer == 2)
            #expect(try summary.json["messages"]?.integer == 3)
            #expect(try summary.json["erasure"]?.isNull == true)
            #expect(!summary.text.contains("secret") && !stats.text.contains("secret"))
            #expect(try await chat.send(.get, path + "/erasure", as: nil, headers: headers).status == 404)

            let erased = try await chat.send(.delete, path, as: nil, headers: headers)
            #expect(erased.status == 200)
            #expect(try erased.json["reason"]?.string == "admin")
            #expect(try erased.json["removed"]?["messages"]?.integer == 3)
            let after = try await chat.send(.get, path, as: nil, headers: headers)
            #expect(try after.json["conversations"]?.integer == 0)
            #expect(try after.json["erasure"]?["status"]?.string == "completed")
            #expect(try await chat.send(.get, path + "/erasure", as: nil, headers: headers).text == erased.text)
            #expect(
                try await chat.send(.get, "/v1/chat/admin/stats", as: nil, headers: headers).json["erased"]?.integer
                    == 1
            )
            #expect(try await chat.send(.get, "/v1/conversations").code == "user_inactive")
            #expect(try await chat.rows(of: "second") == [1, 0])
            for method in [HTTPRequest.Method.get, .delete] {
                let nobody = try await chat.send(method, "/v1/chat/admin/users/nobody/data", as: nil, headers: headers)
                #expect(nobody.status == 404)
            }
            #expect(try await chat.principal("nobody") == nil)
        }
    }

    @Test(
        "S6: there is one way in: every route of a person's own refuses whoever was erased or is somebody else",
        arguments: TestEngine.allCases
    )
    func oneWayIn(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"secret","id":"m"}]}"#)
            // A stranger's export, receipt and erasure concern the stranger.
            for (method, path) in [
                (HTTPRequest.Method.get, "/v1/chat/export"), (.get, "/v1/chat/data/erasure"),
                (.delete, "/v1/chat/data"),
                (.get, "/v1/chat/export?user_id=owner"), (.delete, "/v1/chat/data?user_id=owner"),
            ] {
                let answer = try await chat.send(method, path, as: "stranger")
                #expect(!answer.text.contains("secret") && !answer.text.contains("owner"), "\(path)")
            }
            #expect(try await chat.rows(of: "owner") == [1, 1])
            try #require(try await chat.send(.delete, "/v1/chat/data").status == 200)
            let open: Set = ["/v1/chat/data", "/v1/chat/data/erasure"]
            var refused = 0
            for route in chat.routes() where route.path.hasPrefix("/v1/") && !open.contains(route.path) {
                guard route.method != .head else { continue }
                let path = route.path.split(separator: "/").map { segment in
                    guard segment.hasPrefix("{") || segment.hasPrefix(":") else { return String(segment) }
                    return segment.contains("message") ? "m" : id
                }.reduce("") { "\($0)/\($1)" }
                let answer = try await chat.send(route.method, path, "{}")
                #expect(answer.status == 403 && answer.code == "user_inactive", "\(route.method) \(path)")
                refused += 1
            }
            #expect(refused > 10)
        }
    }

    @Test(
        "S14: only a good token of a user for chat says who one is, and no header besides",
        arguments: TestEngine.allCases
    )
    func boundary(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            try await chat.create()
            let bad = [
                try chat.tokens.forged(for: "owner"), chat.tokens.unsigned(for: "owner"),
                try chat.tokens.token(for: "owner", ["aud": #"["files"]"#]),
                try chat.tokens.token(for: "owner", ["iss": #""http://other.test""#]),
                try chat.tokens.token(for: "owner", ["exp": "1"]),
                try chat.tokens.token(for: "owner", ["nbf": "99999999999"]),
                try chat.tokens.token(for: "client_owner", ["sid": nil]),
            ]
            let routes =
                Self.routes + [
                    (.get, "/v1/chat/export"), (.delete, "/v1/chat/data"), (.get, "/v1/chat/data/erasure"),
                ]
            for (method, path) in routes {
                for token in bad {
                    let answer = try await chat.send(
                        method,
                        path,
                        as: nil,
                        headers: [.authorization: "Bearer \(token)"]
                    )
                    #expect(answer.status == 401, "\(method) \(path)")
                }
                var headers: HTTPFields = [:]
                for name in ["X-User-Id", "X-Auth-Request-User", "X-Tessera-User", "X-Forwarded-User", "X-Role"] {
                    if let field = HTTPField.Name(name) { headers[field] = name == "X-Role" ? "admin" : "owner" }
                }
                #expect(try await chat.send(method, path, as: nil, headers: headers).status == 401, "\(method) \(path)")
            }
            #expect(try await chat.rows(of: "owner") == [1, 0])
            // Nor beside a valid token.
            var headers: HTTPFields = [:]
            if let field = HTTPField.Name("X-User-Id") { headers[field] = "owner" }
            #expect(try await chat.send(.delete, "/v1/chat/data", as: "stranger", headers: headers).status == 200)
            #expect(try await chat.rows(of: "owner") == [1, 0])
        }
    }

    @Test(
        "S20: after an erase no table holds a word of it, or the id in more than a tombstone",
        arguments: TestEngine.allCases
    )
    func gaps(engine: TestEngine) async throws {
        try await withChat(engine) { chat async throws in
            // Each one word for the search.
            let marker = "marker7f3a"
            let person = "person7f3a"
            let feed = ScriptedUserEvents()
            feed.tell("user.created", person, #""name":"\#(marker) name","avatar_url":"https://x.test/\#(marker)""#)
            try await chat.mirror(feed).readAll()
            let key = try #require(HTTPField.Name("Idempotency-Key"))
            let requests: [(HTTPRequest.Method, String, String?)] = [
                (
                    .post, "/v1/conversations",
                    """
                    {"id":"c","title":"\(marker) title","slug":"\(marker)","settings":{"x":"\(marker)"},
                     "metadata":{"x":"\(marker)"},"messages":[{"id":"m","role":"user","content":"\(marker) words",
                     "metadata":{"x":"\(marker)"},"model":"\(marker)","tokens_in":3}]}
                    """
                ),
                (.put, "/v1/conversations/c/tags", #"{"tags":["\#(marker)"]}"#),
                (.put, "/v1/conversations/c/messages/m/vote", #"{"value":"up"}"#),
                (.post, "/v1/usage/reservations", #"{"tokens":5,"model":"\#(marker)"}"#),
                (.post, "/v1/changes/tickets", nil),
            ]
            for (method, path, body) in requests {
                let answer = try await chat.send(
                    method,
                    path,
                    as: person,
                    body,
                    headers: path == "/v1/conversations" ? [key: "\(marker)"] : [:]
                )
                #expect((200..<300).contains(answer.status), "\(path): \(answer.text)")
            }
            let found = try await chat.send(.get, "/v1/search?q=\(marker)", as: person)
            #expect(try found.json["data"]?.array?.isEmpty == false, "\(found.text)")
            // A table without the text before proves nothing after.
            let words = try await chat.tables(holding: marker)
            for table in [
                "principals", "conversations", "messages", "tags", "idempotency_keys", "usage_events", "usage_totals",
                "quota_reservations",
            ] {
                #expect(words.contains(table), "\(table)")
            }
            let ids = try await chat.tables(holding: person)
            for table in ["votes", "changes"] { #expect(ids.contains(table), "\(table)") }
            #expect(try await chat.rows("conversation_tags") == 1)
            if engine == .sqlite { #expect(try await chat.indexed(marker) == 2) }

            // As the cleanup of old changes leaves it.
            try await chat.change("INSERT INTO change_horizons (principal_id, seq) VALUES ('\(person)', 0)")
            let receipt = try await chat.send(.delete, "/v1/chat/data", as: person)
            #expect(receipt.status == 200)
            let removed = try #require(try receipt.json["removed"])
            // A step that finds nothing is not tested.
            for step in ChatService.erasure.flatMap(\.rows) {
                #expect(removed[step.entity]?.integer ?? 0 > 0, "\(step.entity)")
            }
            try await SearchPurge(database: chat.database, clock: .system).run()
            #expect(try await chat.tables(holding: marker) == [])
            #expect(Set(try await chat.tables(holding: person)) == ["principals", "erasures"])
            #expect(try await chat.rows("conversation_tags") == 0)
            if engine == .sqlite { #expect(try await chat.indexed(marker) == 0) }
        }
    }
}

extension Chat {
    func routes() -> [(method: HTTPRequest.Method, path: String)] {
        let service = ChatService(
            database: database,
            configuration: .test,
            keys: tokens.keySource,
            isReady: {},
            contract: "",
            logger: .quiet
        )
        return service.buildRouter().routes.map { ($0.method, $0.path.description) }
    }

    fileprivate func indexed(_ word: String) async throws -> Int64 {
        let statement = Statement(
            "test.indexed",
            .reads,
            ["word": .text],
            """
            SELECT (SELECT COUNT(*) FROM search_messages WHERE search_messages MATCH :word)
                + (SELECT COUNT(*) FROM search_titles WHERE search_titles MATCH :word) AS n
            """
        )
        return try #require(try await database.run(statement.bind(["word": word])).first).integer("n")
    }

    /// The tables with a text in any row, by the catalog: a new table is covered at once.
    func tables(holding marker: String) async throws -> [String] {
        let names = Statement(
            "test.tables",
            .reads,
            database.engine == .sqlite
                ? """
                SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
                    AND sql NOT LIKE 'CREATE VIRTUAL %'
                """
                : """
                SELECT CAST(tablename AS TEXT) AS name FROM pg_tables WHERE schemaname = 'public'
                """
        )
        var holding: [String] = []
        for row in try await database.run(names.bind()).rows {
            let table = try row.text("name")
            let text: String
            if database.engine == .sqlite {
                let columns = Statement("test.columns", .reads, "SELECT name FROM pragma_table_info('\(table)')")
                let parts = try await database.run(columns.bind()).rows.map { row in
                    "COALESCE(CAST(\"\(try row.text("name"))\" AS TEXT), '')"
                }
                text = parts.joined(separator: " || ' ' || ")
            } else {
                text = "CAST(t AS TEXT)"
            }
            let found = Statement(
                "test.grep.\(table)",
                .reads,
                ["word": .text],
                database.engine == .sqlite
                    ? "SELECT COUNT(*) AS n FROM \"\(table)\" t WHERE instr(\(text), :word) > 0"
                    : "SELECT COUNT(*) AS n FROM \"\(table)\" t WHERE position(:word IN \(text)) > 0"
            )
            if try await database.run(found.bind(["word": marker])).first?.integer("n") ?? 0 > 0 {
                holding.append(table)
            }
        }
        return holding
    }
}
