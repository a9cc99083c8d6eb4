// After their own deletion people read the receipt for a day, with a token that auth has ended.
import HTTPTypes
import ServiceKit
import Storage
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import ChatService

@Suite("The receipt of an erasure")
struct ErasureReceiptTests {
    /// Refuses every token of a user, as the feed does after a deletion.
    private struct Deleted: RevocationSource {
        let user: String

        func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
            if claims.subject == user { throw VerificationError(.userInactive, claim: "sub") }
        }
    }

    private static let path = "/v1/chat/data/erasure"

    private func receipt(_ chat: Chat, _ token: String) async throws -> Answer {
        try await chat.nodes[0].send(.get, Self.path, token: token)
    }

    @Test("the token that asked reads it for a day, and nothing else", arguments: TestEngine.allCases)
    func day(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock, revocations: Deleted(user: "owner")) { chat async throws in
            let token = try chat.tokens.token(for: "owner")
            let stranger = try chat.tokens.token(for: "stranger")
            let before = try await receipt(chat, token)
            #expect(before.status == 403 && before.code == "user_inactive", "nothing was asked for")

            _ = try await chat.erase("owner", .userDeleted, at: clock.now)
            let later = try chat.tokens.token(for: "owner", ["iat": "\(clock.now.seconds + 60)"])
            for wait in [0, 600, 86_400 - 601] {
                clock.advance(.seconds(wait))
                let answer = try await receipt(chat, token)
                #expect(answer.status == 200, "\(answer.text)")
                #expect(try answer.json["reason"]?.string == "user_deleted")
            }
            // Nothing else, and no other token.
            for path in ["/v1/conversations", "/v1/chat/export"] {
                #expect(try await chat.nodes[0].send(.get, path, token: token).status != 200, "\(path)")
            }
            #expect(try await chat.nodes[0].send(.delete, "/v1/chat/data", token: token).status != 200)
            #expect(try await receipt(chat, later).code == "token_expired", "it was made afterwards")
            #expect(try await receipt(chat, try chat.tokens.forged(for: "owner")).code == "token_invalid")
            #expect(try await receipt(chat, stranger).code == "token_expired")
            clock.advance(.seconds(2))
            #expect(try await receipt(chat, token).code == "token_expired")
        }
    }

    @Test("a person whom an admin erased did not ask", arguments: TestEngine.allCases)
    func admin(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock, revocations: Deleted(user: "owner")) { chat async throws in
            let token = try chat.tokens.token(for: "owner")
            _ = try await chat.erase("owner", .admin, at: clock.now)
            #expect(try await receipt(chat, token).code == "user_inactive")
        }
    }
}

extension Chat {
    /// As the job of a deletion does, without a request of the person.
    fileprivate func erase(_ user: String, _ reason: ErasureReason, at now: Instant) async throws {
        let principal = Statement(
            "test.erased",
            .writes,
            ["id": .text, "at": .instant],
            """
            INSERT INTO principals (id, kind, first_seen_at, last_seen_at, erased_at) VALUES (:id, 'user', :at, :at, :at)
            """
        )
        let erasure = Statement(
            "test.erasure",
            .writes,
            ["id": .text, "reason": .text, "at": .instant],
            """
            INSERT INTO erasures (id, principal_id, reason, requested_at, completed_at)
            VALUES ('erasure', :id, :reason, :at, :at)
            """
        )
        _ = try await database.run(
            Transaction([
                principal.bind(["id": user, "at": now]),
                erasure.bind(["id": user, "reason": reason.rawValue, "at": now]),
            ])
        )
    }
}
