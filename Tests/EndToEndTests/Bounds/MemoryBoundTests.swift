// What clients can make the process hold. The figures are the issue's.
import Foundation
import TestSupport
import Testing

@Suite("Memory that clients can take", .serialized)
struct MemoryBoundTests {
    @Test(arguments: Engine.allCases)
    func answers_nobody_reads_do_not_pile_up(engine: Engine) async throws {
        let bounds = try await BoundsInstallation(engine)
        let grown = try await bounds.growth(
            port: bounds.installation.authPort,
            request: String(repeating: "GET /openapi.yaml HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", count: 50),
            connections: 300,
            within: .seconds(8)
        )
        #expect(grown < 200, "\(grown) MiB")
        #expect(try await bounds.installation.auth.get("/healthz").status == 200)
        try await bounds.end()
    }

    @Test(arguments: Engine.allCases)
    func personal_answers_nobody_reads_do_not_pile_up(engine: Engine) async throws {
        let bounds = try await BoundsInstallation(engine)
        let id = try await bounds.conversation()
        for _ in 0..<20 {
            let large = try await bounds.installation.chat.post(
                "/v1/conversations/\(id)/messages",
                ["role": "user", "content": .string(String(repeating: "x", count: 200_000))],
                token: bounds.token
            )
            #expect(large.status == 201)
        }
        let grown = try await bounds.growth(
            port: bounds.installation.chatPort,
            request: String(repeating: bounds.get("/v1/conversations/\(id)/messages?limit=20"), count: 3),
            connections: 300,
            within: .seconds(10)
        )
        #expect(grown < 300, "\(grown) MiB")
        // One person's connections have their share, and others theirs.
        let other = try await BoundsInstallation.person("other", bounds.installation)
        #expect(try await bounds.installation.chat.get("/v1/conversations", token: other).status == 200)
        try await bounds.end()
    }

    @Test(arguments: Engine.allCases)
    func bodies_in_flight_are_bounded(engine: Engine) async throws {
        let bounds = try await BoundsInstallation(engine)
        let size = 8 << 20
        let head = """
            POST /v1/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(bounds.token)\r\n\
            Content-Type: application/json\r\nContent-Length: \(size)\r\n\r\n
            """
        let start = #"{"title":"t","messages":[{"role":"user","content":""#
        // One byte is missing.
        let body = Array((head + start + String(repeating: "x", count: size - start.utf8.count - 1)).utf8)
        let before = try bounds.resident()
        let connections = try (0..<40).map { _ in try RawConnection(port: bounds.installation.chatPort) }
        var left = connections.map { _ in body[...] }
        var grown = 0
        try await eventually("the bodies are taken or refused") {
            for (index, connection) in connections.enumerated() where !left[index].isEmpty {
                // A refused one may be closed by now.
                guard let count = connection.sendNow(left[index]) else {
                    left[index] = []
                    continue
                }
                left[index] = left[index].dropFirst(count)
            }
            grown = max(grown, try bounds.resident() - before)
            return left.allSatisfy(\.isEmpty)
        }
        #expect(grown < 400, "\(grown) MiB")
        // A small request is served meanwhile.
        #expect(try await bounds.installation.chat.get("/v1/conversations", token: bounds.token).status == 200)
        try await bounds.end()
    }
}
