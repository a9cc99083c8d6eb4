import Foundation
import TestSupport
import Testing

@Suite("SIGTERM")
struct ShutdownTests {
    @Test("a request in flight is finished, new connections are refused, and the exit status is 0")
    func finishesWhatIsInFlight() async throws {
        let installation = try await Installation()
        let process = try await installation.startAuth()
        let connection = try RawConnection(port: installation.authPort)
        try connection.send(Self.head + #"{"email":"nobody@example.com","#)
        // The server has read the head once it answers a later client.
        #expect(try await installation.auth.get("/healthz").status == 200)

        process.requestStop()
        try await eventually(within: .seconds(9), "the port is closed") {
            (try? RawConnection(port: installation.authPort)) == nil
        }
        try connection.send(#""password":"correct horse"}"#)
        let answer = try await connection.receiveUntilClosed(within: .seconds(60))
        #expect(answer.hasPrefix("HTTP/1.1 401 "), "\(answer)")
        #expect(try await process.waitForExit() == .status(0))
    }

    @Test("a request that never ends does not keep the process for ever")
    func doesNotWaitForEver() async throws {
        let installation = try await Installation()
        let process = try await installation.startAuth()
        let connection = try RawConnection(port: installation.authPort)
        try connection.send(Self.head + "{")
        #expect(try await installation.auth.get("/healthz").status == 200)
        #expect(try await process.terminate() == .status(0))
        _ = try? connection.send(" ")
    }

    @Test("the log has its last line when the process has ended")
    func logIsComplete() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_LOG_LEVEL": "debug"])
        let process = try await installation.startAuth()
        #expect(try await process.terminate() == .status(0))
        let lines = process.output.split(separator: "\n")
        #expect(lines.last?.contains("Service lifecycle ended") == true, "\(lines.suffix(3))")
        let started = lines.count { $0.contains(#""Starting service""#) }
        #expect(started > 5 && lines.count { $0.contains(#""Service finished""#) } == started)
    }

    /// The head of a login whose body is the two halves above: 57 bytes.
    private static let head = """
        POST /v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 57\r\n\r\n
        """

    @Test("a port that is taken ends the start with a sentence, whichever service it was for")
    func portTaken() async throws {
        let holder = try await Installation()
        let running = try await holder.startDev()
        for key in ["TESSERA_AUTH_PORT", "TESSERA_CHAT_PORT"] {
            let taken = key == "TESSERA_AUTH_PORT" ? holder.authPort : holder.chatPort
            let installation = try await Installation(.sqlite, [key: "\(taken)"])
            let process = try installation.start("dev")
            #expect(try await process.waitForExit() == .status(1), "\(process.output)")
            #expect(process.output.contains("cannot listen on 127.0.0.1:\(taken)"), "\(process.output)")
        }
        #expect(try await running.terminate() == .status(0))
    }
}
