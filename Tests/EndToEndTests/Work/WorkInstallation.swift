// Conversations of any length for the tests of what one request may cost.
import Foundation
import Storage
import TestSupport
import Testing

/// `tessera dev` on a database that was never analysed, and one person.
struct WorkInstallation {
    let installation: Installation
    let process: ServerProcess
    let token: String

    /// Absolute times are those of a release build.
    static let slowness = Installation.binary.path.contains("/debug/") ? 4 : 1

    init(_ engine: Engine) async throws {
        installation = try await Installation(engine, Installation.quickHashing)
        process = try await installation.startDev()
        token = try await Self.person("work", installation)
    }

    var chat: Client { installation.chat }

    static func person(_ name: String, _ installation: Installation) async throws -> String {
        try #require(try await installation.auth.signUp("\(name)@example.com")["access_token"].string)
    }

    func end() async throws {
        #expect(try await process.terminate() == .status(0), "\(process.output.suffix(2000))")
    }

    // MARK: Conversations

    /// The id of a new conversation, and of its first message.
    func conversation(of token: String? = nil) async throws -> (id: String, root: String) {
        let token = token ?? self.token
        let body: JSONValue = ["title": "work", "messages": [["role": "user", "content": "root"]]]
        let made = try await chat.post("/v1/conversations", body, token: token)
        let id = try #require(made["id"].string, "\(made.text)")
        let page = try await chat.get("/v1/conversations/\(id)/messages", token: token)
        return (id, try #require(page["data"].array.first?["id"].string, "\(page.text)"))
    }

    /// Appends messages in batches: below `parent`, or one after the other.
    func append(_ count: Int, to conversation: String, below parent: String? = nil) async throws {
        for start in stride(from: 0, to: count, by: 100) {
            let messages = (start..<min(start + 100, count)).map { number -> JSONValue in
                var message: [String: JSONValue] = ["role": "user", "content": .string("word\(number)")]
                if let parent { message["parent_id"] = .string(parent) }
                return .object(message)
            }
            let path = "/v1/conversations/\(conversation)/messages"
            let answer = try await chat.post(path, ["messages": .array(messages)], token: token)
            try #require(answer.status == 201, "\(answer.text)")
        }
    }

    /// Inserts messages from a number on, bypassing the service: below `parent`, or one after the other, with `parent`
    /// before the first.
    func insert(
        _ count: Int,
        into conversation: String,
        from first: Int = 2,
        below parent: String,
        isChain: Bool
    ) async throws {
        let insert = Statement(
            "tests.insert_messages",
            .writes,
            [
                "conversation": .text, "first": .integer, "last": .integer, "parent": .text, "is_chain": .boolean,
                "at": .instant, "words": .words,
            ],
            """
            INSERT INTO messages (id, conversation_id, seq, parent_id, role, created_at, updated_at, content_text,
                parts, search)
            WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
            SELECT :conversation || '-' || n, :conversation, n,
                CASE WHEN :is_chain AND n > :first THEN :conversation || '-' || (n - 1) ELSE :parent END,
                'user', :at, :at, 'some words', '[{"type":"text","text":"some words"}]', :words FROM numbers
            """
        )
        let advance = Statement(
            "tests.advance",
            .writes,
            ["conversation": .text, "last": .integer],
            """
            UPDATE conversations SET last_seq = :last, message_count = :last,
                head_message_id = :conversation || '-' || :last
            WHERE id = :conversation
            """
        )
        let last = Int64(first + count - 1)
        let inserted = insert.bind([
            "conversation": conversation, "first": Int64(first), "last": last, "parent": parent, "is_chain": isChain,
            "at": Instant(seconds: Int64(Date.now.timeIntervalSince1970)), "words": IndexedWords(text: "some words"),
        ])
        let advanced = advance.bind(["conversation": conversation, "last": last])
        try await installation.withDatabase("chat") { database async throws in
            _ = try await database.run(Transaction([inserted, advanced]), priority: .long)
        }
    }

    /// Deletes all messages but the first.
    func truncate(_ conversation: String) async throws {
        let path = "/v1/conversations/\(conversation)/messages?after_seq=1"
        let answer = try await chat.send("DELETE", path, token: token)
        try #require(answer.status == 200, "\(answer.text)")
    }

    // MARK: Times

    func time(of work: () async throws -> Void) async throws -> Duration {
        let begin = ContinuousClock.now
        try await work()
        return .now - begin
    }

    /// The shortest time that a request takes in some rounds: a busy machine lengthens the others.
    func best(of rounds: Int = 5, _ send: () async throws -> Client.Answer) async throws -> Duration {
        var best = Duration.seconds(3600)
        for _ in 0..<rounds {
            let begin = ContinuousClock.now
            let answer = try await send()
            best = min(best, ContinuousClock.now - begin)
            try #require(answer.status < 300, "\(answer.text)")
        }
        return best
    }

    /// Expects that a page of `large` takes at most `factor` times as long as the same page of `small`, and 10 ms.
    func expectSame(_ small: String, _ large: String, within factor: Int, pages: [String]) async throws {
        for page in pages {
            let few = try await best { try await chat.get("/v1/conversations/\(small)/messages?\(page)", token: token) }
            let many = try await best {
                try await chat.get("/v1/conversations/\(large)/messages?\(page)", token: token)
            }
            #expect(many <= few * factor + .milliseconds(10), "\(page): \(few), then \(many)")
        }
    }
}
