// Writers in a separate process, which continue while the service and its database die.
// Tests/CrashWriter/crash_writer.py also does the killing, since only it knows the open requests.
import Foundation
import NIOCore
import TestSupport

struct CrashWriter: Sendable {
    struct Kill: Decodable, Sendable {
        /// Requests without an answer.
        let open: Int
        /// Transactions acknowledged since the previous kill.
        let acknowledged: Int
        let killed: Int
    }

    enum Victim {
        case process(Int32, signal: Int32)
        /// A process and its children, all at once.
        case family(Int32, signal: Int32)
    }

    private let process: ServerProcess
    private let control: Client
    private let logFile: URL

    /// Starts the writers against both services, which must be ready. With `changes` they also edit, delete and
    /// truncate messages, fork, trash and restore.
    init(_ installation: Installation, chatWriters: Int = 88, signupWriters: Int = 8, changes: Bool = false)
        async throws
    {
        let port = try FreePort.take()
        logFile = installation.folder.appending(path: "writers-\(port).log")
        control = Client(base: "http://127.0.0.1:\(port)")
        process = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [
                "python3", "-I", Installation.repository.appending(path: "Tests/CrashWriter/crash_writer.py").path,
                "\(installation.authPort)", "\(installation.chatPort)", "\(port)", logFile.path,
                "\(chatWriters)", "\(signupWriters)", "4", changes ? "1" : "0",
            ],
            environment: [:],
            folder: installation.folder
        )
        try await process.waitUntilReady(port: port, path: "/counts")
    }

    func kill(_ victim: Victim, open: Int = 32, acknowledged: Int = 64) async throws -> Kill {
        let (pid, signal, tree) =
            switch victim {
            case .process(let pid, let signal): (pid, signal, 0)
            case .family(let pid, let signal): (pid, signal, 1)
            }
        let answer = try await control.send(
            "GET",
            "/kill?pid=\(pid)&signal=\(signal)&tree=\(tree)&open=\(open)&acknowledged=\(acknowledged)",
            timeout: .seconds(300)
        )
        return try JSONDecoder().decode(Kill.self, from: Data(answer.text.utf8))
    }

    func counts() async throws -> [String: Int] {
        try JSONDecoder().decode([String: Int].self, from: Data(try await control.get("/counts").text.utf8))
    }

    /// Waits until `more` further transactions are acknowledged.
    func waitForAcknowledgements(_ more: Int, within limit: Duration = .seconds(180)) async throws {
        let before = try await counts()["acknowledged"] ?? 0
        try await eventually(within: limit, "\(more) more units are acknowledged") {
            try await counts()["acknowledged"] ?? 0 >= before + more
        }
    }

    /// Lets open requests end, and returns the outcome of every transaction.
    func stop() async throws -> CrashLog {
        _ = try await control.get("/stop")
        try await process.waitForSuccess()
        return try CrashLog(String(contentsOf: logFile, encoding: .utf8))
    }
}

struct CrashLog: Sendable {
    var acknowledged: Set<String> = []
    /// The answer promises that nothing was committed.
    var refused: Set<String> = []
    /// `outcome_unknown`, or no answer.
    var unknown: Set<String> = []
    /// Any other answer; there must be none.
    var odd: [String] = []
    var reasons: [String: Int] = [:]

    init(_ text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            switch words[0] {
            case "acknowledged": acknowledged.insert(words[2])
            case "refused": refused.insert(words[2])
            case "unknown": unknown.insert(words[2])
            default: odd.append(String(line))
            }
            if words.count > 3 { reasons[words[3], default: 0] += 1 }
        }
    }
}
