// What the process does at the limits of the system.
import Foundation
import TestSupport
import Testing

@Suite("Limits of a process")
struct ProcessLimitTests {
    /// Starts `tessera dev` by a shell that sets its limits.
    private static func start(_ installation: Installation, _ limits: String) async throws -> ServerProcess {
        let process = try ServerProcess(
            executable: URL(filePath: "/bin/sh"),
            arguments: ["-c", "\(limits) && exec \(Installation.binary.path) dev"],
            environment: installation.environment,
            folder: installation.folder
        )
        try await process.waitUntilReady(port: installation.authPort)
        try await process.waitUntilReady(port: installation.chatPort)
        return process
    }

    private static func openFiles(_ process: ServerProcess) throws -> [Int?] {
        let limits = try String(contentsOfFile: "/proc/\(process.identifier)/limits", encoding: .utf8)
        let line = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max open files") })
        return line.split(whereSeparator: \.isWhitespace).dropFirst(3).prefix(2).map { Int($0) }
    }

    @Test("the limit of open files is raised as far as the system allows, and printed when it is low")
    func raised() async throws {
        let installation = try await Installation()
        let process = try await Self.start(installation, "ulimit -Sn 300 && ulimit -Hn 2000")
        #expect(try Self.openFiles(process) == [2000, 2000])
        let lines = process.output.split(separator: "\n").filter { $0.contains("the limit of open files is low") }
        #expect(lines.count == 1, "\(process.output)")
        #expect(lines.first?.contains("2000") == true && lines.first?.contains("1872") == true, "\(lines)")
        #expect(try await process.terminate() == .status(0))
    }

    @Test("at the limit new connections wait, which is said once, and the service goes on")
    func exhausted() async throws {
        let installation = try await Installation()
        let process = try await Self.start(installation, "ulimit -n 256")
        var held: [RawConnection] = []
        for _ in 0..<300 { held.append(try RawConnection(port: installation.chatPort)) }
        // One of those that are in shows that the service is well.
        try held[0].send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        #expect(try await held[0].receiveUntilClosed(within: .seconds(20)).contains("200 OK"))
        try await eventually("it is said") { process.output.contains("accepting connections pauses") }
        held = []
        try await eventually("a new connection is served") { try await installation.chat.get("/healthz").status == 200 }
        let said = process.output.split(separator: "\n").filter { $0.contains("accepting connections pauses") }
        #expect(said.count == 1, "\(said)")
        #expect(try await process.terminate() == .status(0))
    }

    @Test("a request that finds no memory is refused with a code of its own, and served when there is some")
    func memory() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_MEMORY_BUDGET": "16MiB"])
        let process = try await installation.startDev()
        let token = try await BoundsInstallation.person("ada", installation)
        let other = try await BoundsInstallation.person("grace", installation)
        let size = 1_000_000
        let head = """
            POST /v1/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(token)\r\n\
            Content-Type: application/json\r\nContent-Length: \(size)\r\nConnection: close\r\n\r\n
            """
        // Two take nearly all of a person's share, half of the budget, and go on: four times the body each.
        let held = try (0..<2).map { _ in try RawConnection(port: installation.chatPort) }
        for connection in held { try connection.send(head + #"{"title":""#) }
        try await eventually("their memory is taken") {
            try await installation.metric("tessera_memory_budget_taken_bytes") ?? 0 >= Double(8 * size)
        }
        let third = try RawConnection(port: installation.chatPort)
        try third.send(head)
        third.finishSending()
        let answer = try await third.receiveUntilClosed(within: .seconds(30))
        #expect(answer.hasPrefix("HTTP/1.1 503 "), "\(answer)")
        #expect(answer.contains(#""code":"memory_exhausted""#) && answer.lowercased().contains("retry-after: 1\r\n"))
        let body: JSONValue = ["title": .string(String(repeating: "t", count: 1000))]
        #expect(try await installation.chat.post("/v1/conversations", body, token: other).status == 201)
        for connection in held {
            connection.finishSending()
            _ = try? await connection.receiveUntilClosed(within: .seconds(30))
        }
        try await eventually("its memory is given back") {
            try await installation.metric("tessera_memory_budget_taken_bytes") == 0
        }
        #expect(try await installation.chat.post("/v1/conversations", body, token: token).status == 201)
        #expect(try await process.terminate() == .status(0))
    }
}
