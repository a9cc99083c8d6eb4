// The cost and duration of an export: slots, readers that do not read, and rights that end midway.
import Foundation
import HTTPTypes
import HummingbirdTesting
import ServiceKit
import Synchronization
import TesseraVerifierHummingbird
import TestSupport
import Testing

@testable import ChatService

@Suite("Limits of exports")
struct ExportLimitTests {
    private static let trailer = #"{"entity":"trailer""#

    /// More than the buffers between two sockets.
    private func fill(_ chat: Chat) async throws {
        let id = try await chat.conversation()
        try await chat.fill(id, count: 24, content: String(repeating: "x", count: 1 << 20))
    }

    /// A node with one export slot, and a person with a long export.
    private func withOneSlot(
        _ engine: TestEngine,
        writeTimeout: Duration,
        stretch: Int = ExportLimits().stretch,
        _ body: @Sendable @escaping (Chat) async throws -> Void
    ) async throws {
        try await withChat(
            engine,
            counting: true,
            overSocket: true,
            configure: { configuration in
                configuration.exports.perNode = 1
                configuration.exports.writeTimeout = writeTimeout
                configuration.exports.stretch = stretch
                configuration.exports.tick = .milliseconds(50)
            }
        ) { chat async throws in
            try await fill(chat)
            try await body(chat)
        }
    }

    @Test(
        "S12: a person and a node have so many exports at a time, and who takes nothing loses theirs",
        arguments: TestEngine.allCases
    )
    func places(engine: TestEngine) async throws {
        try await withOneSlot(engine, writeTimeout: .seconds(15)) { chat async throws in
            let stuck = try chat.beginExport()
            try await chat.hasBegunExport()
            for user in ["owner", "second"] {
                let refused = try await chat.send(.get, "/v1/chat/export", as: user)
                #expect(refused.status == 429 && refused.code == "rate_limited", "\(user)")
                #expect(refused.headers[.retryAfter] != nil)
            }
            // The first one is not read, until its slot is another's.
            try await eventually(within: .seconds(60), "the place is free") {
                try await chat.send(.get, "/v1/chat/export", as: "second").text.contains(Self.trailer)
            }
            let text = try await stuck.receiveUntilClosed(within: .seconds(30))
            #expect(text.hasPrefix("HTTP/1.1 200 ") && !text.contains(Self.trailer))
        }
    }

    @Test("a reader who takes a little every now and then has waited, and one who takes 1 MiB in time begins anew")
    func pace() {
        let begin = ContinuousClock.now
        // 64 KiB every 29 s: each write is in time, both together are not.
        var trickle = StallDetector(stretch: 1 << 20)
        trickle.writeBegins(at: begin)
        #expect(trickle.wait(at: begin + .seconds(28)) == .seconds(28))
        trickle.writeEnded(64 << 10, at: begin + .seconds(29))
        // An hour of reading rows does not count against the reader.
        #expect(trickle.wait(at: begin + .seconds(3600)) == .seconds(29))
        trickle.writeBegins(at: begin + .seconds(3600))
        #expect(trickle.wait(at: begin + .seconds(3601)) == .seconds(30))
        // Sixteen of these in 29 s, indefinitely.
        var slow = StallDetector(stretch: 1 << 20)
        var now = begin
        for _ in 0..<200 {
            slow.writeBegins(at: now)
            now += .milliseconds(1812)
            #expect(slow.wait(at: now) < .seconds(30))
            slow.writeEnded(64 << 10, at: now)
        }
        #expect(slow.wait(at: now + .seconds(60)) < .seconds(30))
    }

    @Test(
        "S12: a reader who takes a little of a long export every now and then loses the place",
        arguments: TestEngine.allCases
    )
    func trickle(engine: TestEngine) async throws {
        // No reader reaches this.
        try await withOneSlot(engine, writeTimeout: .seconds(3), stretch: 1 << 30) { chat async throws in
            let slow = try chat.beginExport()
            try await chat.hasBegunExport()
            // A steady 2.6 MB a second at most, so that no write takes three seconds, and all of them twenty.
            var taken = 0
            try await eventually(within: .seconds(60), "the connection is closed") {
                guard let count = slow.receiveSome(atMost: 128 << 10) else { return true }
                taken += count
                return false
            }
            #expect(taken < 48 << 20, "\(taken)")
            try await eventually("the place is free") {
                try await chat.send(.get, "/v1/chat/export", as: "second").status == 200
            }
        }
    }

    @Test("a node has no more places than its limit, whoever asks")
    func node() {
        let places = ExportSlots(
            limits: {
                var limits = ExportLimits()
                limits.perNode = 3
                return limits
            }()
        )
        var taken = (0..<5).map { places.take("p-\($0)") }
        #expect(taken.map { $0 != nil } == [true, true, true, false, false])
        taken[0]?.leave()
        taken[0]?.leave()
        // Leaving twice frees once, and a forgotten slot is freed.
        taken[1] = nil
        taken[3] = places.take("a")
        taken[4] = places.take("a")
        #expect(taken[3] != nil && taken[4] != nil && places.take("b") == nil)
        taken[2] = nil
        #expect(places.take("a") == nil)
    }

    @Test(
        "S2: an export ends when its session is revoked or its person is erased, and the trailer is never told",
        arguments: TestEngine.allCases
    )
    func judgedAgain(engine: TestEngine) async throws {
        let revoked = RevokedSessions()
        try await withChat(
            engine,
            counting: true,
            overSocket: true,
            revocations: revoked,
            configure: { $0.exports.tick = .milliseconds(50) }
        ) { chat async throws in
            try await fill(chat)
            for isErased in [false, true] {
                (chat.database as? CountingDatabase)?.forget()
                let reading = try chat.beginExport(session: "s-\(isErased)")
                try await chat.hasBegunExport()
                if isErased {
                    let token = try chat.tokens.token(for: "root", ["role": #""admin""#])
                    let erased = try await chat.send(
                        .delete,
                        "/v1/chat/admin/users/owner/data",
                        as: nil,
                        headers: [.authorization: "Bearer \(token)"]
                    )
                    #expect([200, 202].contains(erased.status), "\(erased.text)")
                } else {
                    revoked.revoke("s-false")
                }
                // Sooner than for lack of a reader.
                let text = try await reading.receiveUntilClosed(within: .seconds(25))
                #expect(text.hasPrefix("HTTP/1.1 200 ") && !text.contains(Self.trailer), "\(isErased)")
            }
        }
    }

    @Test("metadata and text count for what one read may take", arguments: TestEngine.allCases)
    func weight(engine: TestEngine) async throws {
        try await withChat(engine, counting: true) { chat async throws in
            let counting = try #require(chat.database as? CountingDatabase)
            let long = String(repeating: "m", count: 16_000)
            let message = #"{"role":"user","content":"x","metadata":{"m":"\#(long)"}}"#
            let messages = Array(repeating: message, count: 20).joined(separator: ",")
            try await chat.create(#"{"id":"a","messages":[\#(messages)]}"#)
            for _ in 0..<2 {
                let more = Array(repeating: message, count: 40).joined(separator: ",")
                try await chat.append(#"{"messages":[\#(more)]}"#, to: "a")
            }
            for index in 0..<24 {
                try await chat.create(#"{"id":"c-\#(index)","settings":{"s":"\#(long)"},"metadata":{"m":"\#(long)"}}"#)
            }
            counting.forget()
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            #expect(lines.count("message") == 100 && lines.count("conversation") == 25)
            // 1.6 MB of messages in reads of 64 KiB and 1 MiB, 768 kB of conversations in groups of 256 KiB.
            #expect(counting.transactions.filter { $0 == ["export.messages"] }.count >= 2)
            #expect(counting.transactions.filter { $0 == ["export.conversations"] }.count >= 4)
        }
    }
}

private final class RevokedSessions: RevocationSource {
    private let sessions = Mutex<Set<String>>([])

    func revoke(_ session: String) { sessions.withLock { _ = $0.insert(session) } }

    func check(_ claims: AccessTokenClaims, keyID: String) throws(VerificationError) {
        let isRevoked = sessions.withLock { claims.sessionID.map($0.contains) ?? false }
        if isRevoked { throw VerificationError(.revoked) }
    }
}

extension Chat {
    /// Requests the owner's export and reads none of it.
    fileprivate func beginExport(session: String? = nil) throws -> RawConnection {
        let connection = try RawConnection(port: try #require(nodes[0].port))
        let token = try tokens.token(for: "owner", session.map { ["sid": #""\#($0)""#] } ?? [:])
        try connection.send(
            "GET /v1/chat/export HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Bearer \(token)\r\n\r\n"
        )
        return connection
    }

    /// Returns when rows were read for an export that began since the last call.
    fileprivate func hasBegunExport() async throws {
        let counting = try #require(database as? CountingDatabase)
        try await eventually("rows are read") { counting.transactions.contains { $0.first == "export.messages" } }
        counting.forget()
    }
}
