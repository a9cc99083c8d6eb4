import Foundation
import TestSupport
import Testing

@Suite("In a terminal")
struct TerminalTests {
    /// Runs the binary in a terminal of its own, by script(1).
    private static func start(_ installation: Installation, _ arguments: String) throws -> ServerProcess {
        try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["script", "-qec", "exec '\(Installation.binary.path)' \(arguments)", "/dev/null"],
            environment: installation.environment.filter { !$0.value.isEmpty },
            folder: installation.folder
        )
    }

    @Test("dev greets, then writes one readable line for each request of the person, and nothing else")
    func dev() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        let process = try Self.start(installation, "dev")
        try await process.waitUntilReady(port: installation.authPort)
        try await process.waitUntilReady(port: installation.chatPort)
        _ = try await installation.auth.get("/v1/me")
        _ = try await installation.chat.get("/v1/conversations/0199f3d2-6c4f-7a4e-9a0b-1d2f6f0e8c11")
        try await eventually("the last request is logged") { process.output.contains("/v1/conversations/{id} ") }
        // Before script(1) adds its closing line.
        let output = process.output
        try await process.terminate()

        // A slow machine says so.
        let lines = output.replacing("\r\n", with: "\n").split(separator: "\n").map(String.init)
            .filter { !$0.contains("WARNING: slow sql") }
        #expect(lines.first?.hasPrefix("Tessera ") == true, "\(lines)")
        #expect(lines.contains { $0.contains("http://127.0.0.1:\(installation.authPort)/openapi.yaml") })
        let log = lines.drop { !$0.contains("curl -s http://127.0.0.1:\(installation.chatPort)") }.dropFirst()
        // On a slow machine the first requests to /readyz come before the service is ready, which is a warning.
        let isEarly = { (line: String) in
            line.contains("WARNING: not ready") || line.firstMatch(of: #/GET +/readyz +503 /#) != nil
        }
        for line in log where !isEarly(line) {
            let request = /\d\d:\d\d:\d\d  GET    (\/readyz|\/v1\/me|\/v1\/conversations\/\{id\}) +\d{3} +[\d.]+ ms/
            #expect(line.wholeMatch(of: request) != nil, "\(line)")
        }
        #expect(log.filter { $0.contains("/v1/me ") && $0.contains(" 401 ") }.count == 1)
    }
}
