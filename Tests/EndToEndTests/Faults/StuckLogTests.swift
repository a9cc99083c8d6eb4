import Foundation
import Glibc
import NIOCore
import TestSupport
import Testing

@Suite("A log that is not read")
struct StuckLogTests {
    /// Standard error is a pipe that stays open and is not read.
    private static func start(
        _ installation: Installation,
        _ command: String...,
        fillingFirst bytes: Int = 0
    ) throws -> ServerProcess {
        let fifo = installation.folder.appending(path: "log")
        guard mkfifo(fifo.path, 0o600) == 0 else { throw CocoaError(.fileWriteUnknown) }
        let script = #"exec 2<>"$0"; head -c "$1" /dev/zero >&2; shift; exec "$@""#
        return try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["bash", "-c", script, fifo.path, "\(bytes)", Installation.binary.path] + command,
            environment: installation.environment.filter { !$0.value.isEmpty },
            folder: installation.folder
        )
    }

    @Test("a reader of the log that stops reading stops neither requests nor the shutdown")
    func requestsGoOn() async throws {
        // Each batch of statements is a warning, whose line is urgent.
        let installation = try await Installation(.sqlite, ["TESSERA_LOG_SLOW_SQL": "0ms"])
        let process = try Self.start(installation, "auth", "--migrate")
        try await process.waitUntilReady(port: installation.authPort)
        // Two lines per request: three times the pipe's capacity.
        for _ in 0..<400 {
            let answer = try await installation.auth.send("GET", "/readyz", timeout: .seconds(5))
            try #require(answer.status == 200)
        }
        let metrics = Client(base: "http://\(installation.environment["TESSERA_METRICS_ADDRESS"] ?? "")")
        let text = try await metrics.send("GET", "/metrics", timeout: .seconds(5)).text
        #expect(text.contains("\ntessera_log_lines_dropped_total 0.0\n"), "\(text)")
        #expect(try await process.terminate(within: .seconds(10)) == .status(0))
    }

    @Test("a start that is refused ends, although nobody takes the reason")
    func refusedStart() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_AUTH_PORT": "70000"])
        let process = try Self.start(installation, "auth", "--migrate", fillingFirst: 65_536)
        #expect(try await process.waitForExit(within: .seconds(10)) == .status(78))
    }
}
