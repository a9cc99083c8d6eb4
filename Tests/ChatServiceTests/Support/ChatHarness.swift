// The chat service behind its router, on a fresh database, with tokens that the test signs.
import ChatService
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

/// `counting` makes the database a `CountingDatabase`; `overSocket` makes the service listen, with its background work.
func withChat(
    _ engine: TestEngine,
    clock: Clock = .system,
    counting: Bool = false,
    overSocket: Bool = false,
    revocations: (any RevocationSource)? = nil,
    configure: (inout ChatConfiguration) -> Void = { _ in },
    _ body: @Sendable @escaping (Chat) async throws -> Void
) async throws {
    var configuration = ChatConfiguration.test
    configure(&configuration)
    let configured = configuration
    try await withDatabase(engine, service: "chat") { own in
        try await withChat(
            on: counting ? CountingDatabase(own) : own,
            clock: clock,
            configured,
            overSocket: overSocket,
            revocations: revocations,
            body
        )
    }
}

func withChat(
    on database: any SQLDatabase,
    clock: Clock = .system,
    _ configuration: ChatConfiguration = .test,
    overSocket: Bool = false,
    revocations: (any RevocationSource)? = nil,
    _ body: @Sendable @escaping (Chat) async throws -> Void
) async throws {
    let tokens = try TestTokens(clock: clock)
    try await withNode(database, tokens, clock, configuration, overSocket: overSocket, revocations) { client in
        try await body(Chat(nodes: [client], tokens: tokens, database: database))
    }
}

/// Two chat nodes on one PostgreSQL: two processes do not order each other's work. SQLite has one process, hence one
/// node.
func withNodes(
    _ engine: TestEngine,
    overSocket: Bool = false,
    configure: (inout ChatConfiguration) -> Void = { _ in },
    _ body: @Sendable @escaping (Chat) async throws -> Void
) async throws {
    guard engine == .postgres else {
        return try await withChat(engine, overSocket: overSocket, configure: configure, body)
    }
    var configuration = ChatConfiguration.test
    configure(&configuration)
    let configured = configuration
    try await withTestDatabase(engine, service: "chat") { test in
        let second = try await test.openAnother()
        let tokens = try TestTokens(clock: .system)
        do {
            try await withNode(test.database, tokens, .system, configured, overSocket: overSocket) { one in
                try await withNode(second, tokens, .system, configured, overSocket: overSocket) { other in
                    try await body(Chat(nodes: [one, other], tokens: tokens, database: test.database))
                }
            }
        } catch {
            await second.close()
            throw error
        }
        await second.close()
    }
}

private func withNode(
    _ database: any SQLDatabase,
    _ tokens: TestTokens,
    _ clock: Clock,
    _ configuration: ChatConfiguration,
    overSocket: Bool,
    _ revocations: (any RevocationSource)? = nil,
    _ body: @Sendable @escaping (any TestClientProtocol) async throws -> Void
) async throws {
    let service = ChatService(
        database: database,
        configuration: configuration,
        keys: tokens.keySource,
        revocations: revocations,
        isReady: {},
        contract: "openapi: 3.1.0\n",
        clock: clock,
        logger: .quiet
    )
    var application = Application(router: service.buildRouter(), logger: .quiet)
    if overSocket { application.addServices(service.services) }
    try await application.test(overSocket ? .live : .router, body)
}

extension ChatConfiguration {
    /// Without limits of requests: tests send as fast as they can. Each has a memory budget of its own.
    static var test: ChatConfiguration {
        var configuration = ChatConfiguration(publicURL: "http://chat.test", issuer: TestTokens.issuer)
        configuration.requests = .off
        return configuration
    }
}

/// A client of the service.
struct Chat: Sendable {
    let nodes: [any TestClientProtocol]
    let tokens: TestTokens
    let database: any SQLDatabase

    /// `user` is `nil` for a request without a token.
    func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        as user: String? = "owner",
        _ json: String? = nil,
        headers: HTTPFields = [:],
        node: Int = 0
    ) async throws -> Answer {
        let token = try headers[.authorization] == nil ? user.map { try tokens.token(for: $0) } : nil
        return try await nodes[node % nodes.count].send(method, path, json, token: token, headers: headers)
    }

    @discardableResult
    func create(_ json: String = "{}", as user: String = "owner") async throws -> JSONElement {
        let answer = try await send(.post, "/v1/conversations", as: user, json)
        try #require(answer.status == 201, "\(answer.text)")
        return try answer.json
    }

    func conversation(_ json: String = "{}", as user: String = "owner") async throws -> String {
        try #require(try await create(json, as: user)["id"]?.string)
    }

    @discardableResult
    func append(_ json: String, to conversation: String, as user: String = "owner") async throws -> JSONElement {
        let answer = try await send(.post, "/v1/conversations/\(conversation)/messages", as: user, json)
        try #require(answer.status == 201, "\(answer.text)")
        return try answer.json
    }

    /// Oldest first, read page by page.
    func messages(_ conversation: String, as user: String = "owner") async throws -> [JSONElement] {
        try await pages("/v1/conversations/\(conversation)/messages?limit=100", as: user).flatMap { $0 }
    }

    func pages(_ path: String, as user: String = "owner") async throws -> [[JSONElement]] {
        var pages: [[JSONElement]] = []
        var cursor = ""
        repeat {
            let answer = try await send(.get, path + cursor, as: user)
            try #require(answer.status == 200, "\(answer.text)")
            pages.append(try #require(answer.json["data"]?.array))
            cursor = try answer.json["next_cursor"]?.string.map { "&after=\($0)" } ?? ""
        } while !cursor.isEmpty && pages.count < 1000
        return pages
    }

    /// Numbers without a gap, and counters that agree.
    func expectSound(_ conversation: String, count: Int, as user: String = "owner") async throws {
        let row = try await send(.get, "/v1/conversations/\(conversation)", as: user).json
        let messages = try await messages(conversation, as: user)
        #expect(messages.compactMap { $0["seq"]?.integer } == (0..<count).map { Int64($0) + 1 })
        #expect(row["last_seq"]?.integer == Int64(count))
        #expect(row["message_count"]?.integer == Int64(count))
        #expect(row["head_message_id"]?.string == messages.last?["id"]?.string)
        #expect(row["version"]?.integer ?? 0 > 0)
    }

    /// Orphaned rows and unfinished ones; there must be none.
    func leftovers() async throws -> Int64 {
        let statement = Statement(
            "test.leftovers",
            .reads,
            """
            SELECT (SELECT COUNT(*) FROM conversations WHERE version <= 0)
                + (SELECT COUNT(*) FROM messages m JOIN conversations c ON c.id = m.conversation_id
                   WHERE m.seq > c.last_seq) AS n
            """
        )
        return try #require(try await database.run(statement.bind()).first).integer("n")
    }

    func rows(_ table: String) async throws -> Int64 {
        Int64(try await database.count(table))
    }

    /// Makes conversations `f-1` to `f-count` of the owner, bypassing the service.
    func fill(_ count: Int, tag: String? = nil, at instant: Instant = Instant(seconds: 1)) async throws {
        let numbers = "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(count))"
        let conversations = Statement(
            "test.fill",
            .writes,
            ["at": .instant, "has_tags": .boolean],
            """
            INSERT INTO conversations (id, owner_id, created_at, updated_at, has_tags)
            \(numbers) SELECT 'f-' || n, 'owner', :at, :at, :has_tags FROM numbers
            """
        )
        let tags = Statement(
            "test.fill_tags",
            .writes,
            ["tag_id": .text],
            """
            INSERT INTO conversation_tags (conversation_id, tag_id) \(numbers) SELECT 'f-' || n, :tag_id FROM numbers
            """
        )
        _ = try await database.run(
            Transaction(
                [conversations.bind(["at": instant, "has_tags": tag != nil])]
                    + (tag.map { [tags.bind(["tag_id": $0])] } ?? [])
            )
        )
    }

    /// Gives a conversation messages `<id>-1` to `<id>-count`, bypassing the service.
    func chain(_ count: Int, in conversation: String) async throws {
        let messages = Statement(
            "test.chain",
            .writes,
            ["conversation": .text, "at": .instant],
            """
            INSERT INTO messages (id, conversation_id, seq, parent_id, author_id, role, tokens_in, created_at,
                updated_at, content_text, parts)
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(count))
            SELECT :conversation || '-' || n, :conversation, n,
                CASE WHEN n > 1 THEN :conversation || '-' || (n - 1) END, 'owner', 'user', 2, :at, :at,
                'Text ' || n, '[]' FROM numbers
            """
        )
        let counters = Statement(
            "test.chain_counters",
            .writes,
            ["id": .text],
            """
            UPDATE conversations SET last_seq = \(count), message_count = \(count), tokens_in = 2 * \(count),
                head_message_id = :id || '-\(count)' WHERE id = :id
            """
        )
        _ = try await database.run(
            Transaction([
                messages.bind(["conversation": conversation, "at": Instant(seconds: 1)]),
                counters.bind(["id": conversation]),
            ])
        )
    }

    /// As auth's event feed does.
    func mark(_ user: String, active: Bool, erasedAt: Instant?) async throws {
        let statement = Statement(
            "test.mark",
            .writes,
            ["id": .text, "is_active": .boolean, "at": .instant],
            "UPDATE principals SET is_active = :is_active, erased_at = :at WHERE id = :id"
        )
        _ = try await database.run(statement.bind(["id": user, "is_active": active, "at": erasedAt]))
    }
}

extension Answer {
    var json: JSONElement { get throws { try JSONElement.parse(text) } }
}
