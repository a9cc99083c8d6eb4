import ChatService
import HTTPTypes
import HummingbirdTesting
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Tickets for streams")
struct StreamTicketTests {
    private static let stream: HTTPFields = [.accept: "text/event-stream"]

    private static func ticket(_ chat: Chat, as user: String = "owner") async throws -> String {
        let answer = try await chat.send(.post, "/v1/changes/tickets", as: user)
        try #require(answer.status == 201, "\(answer.text)")
        #expect(answer.headers[.cacheControl] == "no-store")
        #expect(try answer.json["expires_in"]?.integer == 30)
        return try #require(try answer.json["ticket"]?.string)
    }

    @Test("a ticket opens its person's stream once, on any node", arguments: TestEngine.allCases)
    func opens(engine: TestEngine) async throws {
        try await withNodes(engine, overSocket: true) { chat in
            _ = try await chat.conversation(#"{"id":"c1"}"#)
            _ = try await chat.conversation(#"{"id":"others"}"#, as: "other")
            let cursor = try #require(try await chat.send(.get, "/v1/changes?after=end").json["next_cursor"]?.string)
            let ticket = try await Self.ticket(chat)
            let port = try #require(chat.nodes[chat.nodes.count - 1].port)
            let path = "/v1/changes?ticket=\(ticket)&after=\(cursor)"
            let stream = try EventStreamReader(port: port, path: path, token: nil)
            try await eventually("it has caught up") { stream.isCaughtUp }
            #expect(stream.status == 200)
            _ = try await chat.conversation(#"{"id":"c2"}"#)
            try await eventually("it is told") { stream.received.count == 1 }
            #expect(stream.received.first?.data.contains(#""entity_id":"c2""#) == true)
            // Used up, on every node.
            for node in chat.nodes.indices {
                let again = try await chat.send(.get, path, as: nil, headers: Self.stream, node: node)
                #expect(again.status == 401)
                #expect(again.code == "token_invalid")
            }
            // The stream is the token's, and ends with its person.
            #expect(try await chat.send(.delete, "/v1/chat/data").status == 200)
            try await eventually("it has ended") { stream.hasEnded }
        }
    }

    @Test("of two uses at once one gets the stream", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withNodes(engine, overSocket: true) { chat in
            let path = "/v1/changes?ticket=\(try await Self.ticket(chat))"
            let readers = try (0..<4).map { index in
                let port = try #require(chat.nodes[index % chat.nodes.count].port)
                return try EventStreamReader(port: port, path: path, token: nil)
            }
            try await eventually("all are answered") { readers.allSatisfy { $0.status != 0 } }
            #expect(readers.map(\.status).sorted() == [200, 401, 401, 401])
        }
    }

    @Test("a ticket ends after 30 seconds, and its row is removed", arguments: TestEngine.allCases)
    func expires(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let ticket = try await Self.ticket(chat)
            _ = try await Self.ticket(chat, as: "other")
            clock.advance(.seconds(30))
            let late = try await chat.send(.get, "/v1/changes?ticket=\(ticket)", as: nil, headers: Self.stream)
            #expect(late.code == "token_invalid")
            #expect(try await chat.rows("stream_tickets") == 1)
            let counts = try await chat.cleanup(clock.clock).run().counts
            #expect(counts.first { $0.name == "chat_stream_tickets" }?.count == 1)
            #expect(try await chat.rows("stream_tickets") == 0)
        }
    }

    @Test("what is no ticket, and what comes with another credential, opens nothing", arguments: TestEngine.allCases)
    func refused(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            for bad in ["", "x", String(repeating: "A", count: 43), String(repeating: "A", count: 5000)] {
                let answer = try await chat.send(.get, "/v1/changes?ticket=\(bad)", as: nil, headers: Self.stream)
                #expect(answer.code == "token_invalid", "\(bad.count): \(answer.text)")
            }
            let ticket = try await Self.ticket(chat)
            let path = "/v1/changes?ticket=\(ticket)"
            #expect(try await chat.send(.get, path, headers: Self.stream).violations == ["ticket invalid"])
            #expect(try await chat.send(.get, path, as: nil).violations == ["ticket invalid"])
            // It opens that stream and nothing else.
            for other in ["/v1/conversations", "/v1/chat/export", "/v1/usage"] {
                let answer = try await chat.send(.get, "\(other)?ticket=\(ticket)", as: nil, headers: Self.stream)
                #expect(answer.status == 401, "\(other)")
            }
            #expect(try await chat.rows("stream_tickets") == 1)
            // SECURITY: the database has neither the ticket nor the token.
            let row = try #require(
                try await chat.database.run(
                    Statement("test.tickets", .reads, "SELECT ticket_hash, sealed_token FROM stream_tickets").bind()
                ).first
            )
            #expect(try row.text("ticket_hash") == Hex.encode(SHA256.digest(try #require(Base64URL.decode(ticket)))))
            let sealed = try #require(Base64URL.decode(try row.text("sealed_token")))
            let token = Array(try chat.tokens.token(for: "owner").utf8.prefix(20))
            #expect(!sealed.indices.contains { sealed[$0...].starts(with: token) })
        }
    }

    @Test("a person has 20 unused tickets at most", arguments: TestEngine.allCases)
    func bound(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let answers = try await inParallel(30) { _ in try await chat.send(.post, "/v1/changes/tickets") }
            #expect(answers.count { $0.status == 201 } == 20)
            #expect(answers.count { $0.status == 429 && $0.code == "rate_limited" } == 10)
            #expect(answers.filter { $0.status == 429 }.allSatisfy { $0.headers[.retryAfter] == "30" })
            _ = try await Self.ticket(chat, as: "other")
            clock.advance(.seconds(30))
            _ = try await Self.ticket(chat)
            #expect(try await chat.rows("stream_tickets") == 2)
        }
    }
}
