// A client that sends a byte now and then would keep a connection for ever without a deadline. This takes the real 30
// s, beside the other tests.
import Foundation
import TestSupport
import Testing

@Suite("A request that trickles")
struct SlowClientTests {
    @Test(
        "is dropped after 30 s, and others are served meanwhile",
        arguments: [
            "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
            "POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n",
        ]
    )
    func dropped(start: String) async throws {
        let installation = try await Installation()
        let process = try await installation.startAuth()
        let connection = try RawConnection(port: installation.authPort)
        let clock = ContinuousClock()
        let begin = clock.now
        try connection.send(start)

        let trickle = Task {
            // The connection is never idle; ends when the server has closed it.
            while (try? connection.send("a")) != nil { try await clock.sleep(for: .seconds(1)) }
        }
        defer { trickle.cancel() }
        let answer = try await connection.receiveUntilClosed(within: .seconds(90))
        // The deadline closed it, not a refusal of the first bytes.
        #expect(clock.now - begin > .seconds(20))
        #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 408 "), "\(answer)")
        #expect(try await installation.auth.get("/healthz").status == 200)
        #expect(try await process.terminate() == .status(0))
    }
}
