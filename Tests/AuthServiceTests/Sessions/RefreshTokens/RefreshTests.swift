import AuthService
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Refresh")
struct RefreshTests {
    @Test("a refresh yields the next token and a new access token", arguments: TestEngine.allCases)
    func rotates(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let answer = try await node.refresh(ada.refresh)
            #expect(answer.status == 200)
            #expect(answer.json["refresh_token"]?.string != ada.refresh)
            #expect(answer.json["access_token"]?.string != ada.access)
            #expect(answer.json["user"] == nil)
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(try await node.count("refresh_tokens") == 1, "the table does not grow with refreshes")
        }
    }

    @Test("within the grace the token just rotated yields the same successor", arguments: TestEngine.allCases)
    func grace(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let first = try await node.refresh(ada.refresh)
            node.clock.advance(.seconds(9))
            let again = try await node.refresh(ada.refresh)
            #expect(again.status == 200)
            #expect(again.json["refresh_token"]?.string == first.json["refresh_token"]?.string)
        }
    }

    @Test("polling with the token just rotated does not extend its grace", arguments: TestEngine.allCases)
    func polling(engine: TestEngine) async throws {
        // The session's `last_seen_at` moves with nearly every poll, and is not the clock.
        try await withConfiguredNode(engine) {
            $0.sessionIdle = .seconds(28)
        } _: { node in
            let ada = try await node.signUp()
            node.clock.advance(.seconds(3))
            #expect(try await node.refresh(ada.refresh).status == 200)
            func seen() async throws -> Instant? {
                try await node.query("SELECT last_seen_at FROM sessions").first?.instant("last_seen_at")
            }
            let rotated = try await seen()
            for _ in 0..<3 {
                node.clock.advance(.seconds(3))
                #expect(try await node.refresh(ada.refresh).status == 200)
            }
            #expect(try await seen() != rotated)
            node.clock.advance(.seconds(1))
            #expect(try await node.refresh(ada.refresh).code == "refresh_token_reused")
        }
    }

    @Test(
        "after the grace, or two behind, it is theft: the session ends once, with event and audit row",
        arguments: TestEngine.allCases
    )
    func theft(engine: TestEngine) async throws {
        for waits in [true, false] {
            try await withNode(engine) { node in
                let ada = try await node.signUp()
                let second = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
                if waits { node.clock.advance(.seconds(11)) } else { _ = try await node.refresh(second) }
                let stolen = try await node.refresh(ada.refresh)
                #expect(stolen.status == 401)
                #expect(stolen.code == "refresh_token_reused")
                #expect(try await node.refresh(second).code == "session_revoked")
                #expect(try await node.me(ada.access).code == "session_revoked")
                #expect(try await node.refresh(ada.refresh).status == 401)
                #expect(
                    try await node.count("events WHERE kind = 'session.revoked' AND session_id = '\(ada.sessionID)'")
                        == 1
                )
                #expect(
                    try await node.count("audit_log WHERE action = 'session.revoke' AND target = '\(ada.sessionID)'")
                        == 1
                )
                #expect(try await node.count("sessions WHERE revoke_reason = 'refresh_token_reused'") == 1)
            }
        }
    }

    @Test("every flipped bit of a refresh token is refused and changes nothing", arguments: TestEngine.allCases)
    func flippedBits(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let before = try await node.query("SELECT id, generation, rotated_at FROM refresh_tokens").map(\.values)
            let bytes = Array(ada.refresh.utf8)
            var forgeries: [String] = []
            for index in bytes.indices {
                for bit in 0..<7 {
                    var forged = bytes
                    forged[index] ^= 1 << UInt8(bit)
                    let text = String(decoding: forged, as: UTF8.self)
                    if !text.contains("\"") && !text.contains("\\") && forged[index] >= 0x20 { forgeries.append(text) }
                }
            }
            // With a right checksum: the HMAC refuses, not the checksum.
            let body = try #require(Base64URL.decode(String(ada.refresh.dropFirst(4).dropLast(6))))
            for index in body.indices {
                for bit in 0..<8 {
                    var forged = body
                    forged[index] ^= 1 << UInt8(bit)
                    forgeries.append(Self.encoded(forged))
                }
            }
            #expect(forgeries.count > 800)
            for forged in forgeries {
                let answer = try await node.refresh(forged)
                #expect(answer.status == 401 && answer.code == "invalid_token", "\(forged)")
            }
            #expect(
                try await node.query("SELECT id, generation, rotated_at FROM refresh_tokens").map(\.values) == before
            )
            #expect(try await node.refresh(ada.refresh).status == 200)
        }
    }

    @Test("a forged old generation leaves the session alive", arguments: TestEngine.allCases)
    func forgedGeneration(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            var token = ada.refresh
            for _ in 0..<3 { token = try #require(try await node.refresh(token).json["refresh_token"]?.string) }
            var body = try #require(Base64URL.decode(String(token.dropFirst(4).dropLast(6))))
            body.replaceSubrange(17..<21, with: [0, 0, 0, 1])
            #expect(try await node.refresh(Self.encoded(body)).code == "invalid_token")
            #expect(try await node.refresh(token).status == 200)
            #expect(try await node.me(ada.access).status == 200)
        }
    }

    @Test("two nodes with different first ring keys work side by side", arguments: TestEngine.allCases)
    func twoRings(engine: TestEngine) async throws {
        let options = [NodeOptions(ring: AuthNode.ring(2, first: 0)), NodeOptions(ring: AuthNode.ring(2, first: 1))]
        try await withNodes(engine, options) { nodes in
            for (here, there, email) in [(nodes[0], nodes[1], "a@example.com"), (nodes[1], nodes[0], "b@example.com")] {
                let user = try await here.signUp(email)
                let first = try await there.refresh(user.refresh)
                let second = try await here.refresh(user.refresh)
                #expect(first.status == 200)
                #expect(first.json["refresh_token"]?.string == second.json["refresh_token"]?.string)
                #expect(try await there.me(user.access).status == 200)
            }
        }
    }

    @Test(
        "the newest token of a session that was ended is refused by every node, and by one that starts later",
        arguments: TestEngine.allCases
    )
    func ended(engine: TestEngine) async throws {
        try await withNodes(engine, [NodeOptions(), NodeOptions()]) { nodes in
            let ada = try await nodes[0].signUp()
            let path = "/v1/me/sessions/\(ada.sessionID)"
            #expect(try await nodes[0].send(.delete, path, token: ada.access).status == 204)
            for node in nodes { #expect(try await node.refresh(ada.refresh).code == "session_revoked") }
            // What a node remembers of it is gone with the node.
            let configuration = try AuthNode.configuration()
            try await AuthNode.serve(configuration, on: nodes[0].database, nodes[0].clock) { later async throws in
                let answer = try await later.refresh(ada.refresh)
                #expect(answer.code == "session_revoked")
            }
        }
    }

    @Test("a session ends when it is idle too long, and at its absolute end", arguments: TestEngine.allCases)
    func expiry(engine: TestEngine) async throws {
        let day: Duration = .seconds(86_400)
        try await withNode(engine) { node in
            let idle = try await node.signUp("idle@example.com")
            node.clock.advance(day * 14 + .seconds(1))
            #expect(try await node.refresh(idle.refresh).code == "session_expired")

            let busy = try await node.signUp("busy@example.com")
            var token = busy.refresh
            for _ in 0..<6 {
                node.clock.advance(day * 13)
                token = try #require(try await node.refresh(token).json["refresh_token"]?.string)
            }
            node.clock.advance(day * 12 + .seconds(10))
            let last = try await node.refresh(token)
            #expect(last.status == 401 && last.code == "session_expired", "\(last.text)")
        }
    }

    private static func encoded(_ body: [UInt8]) -> String {
        let text = "tsr_" + Base64URL.encode(body)
        let crc = CRC32.checksum(Array(text.utf8))
        return text + Base64URL.encode((0..<4).map { UInt8(truncatingIfNeeded: crc >> (24 - 8 * UInt32($0))) })
    }
}
