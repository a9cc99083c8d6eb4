// Runs scripts/summarise-tests on commands that print what Swift Testing would.
import Foundation
import TestSupport
import Testing

@Suite("The summary of a run of the tests")
struct TestSummaryTests {
    private static let closing = "✔ Test run with 3 tests in 1 suite passed after 1.234 seconds."

    @Test("success: counts, what was left out with its reason, the slowest files, the closing line last")
    func success() async throws {
        let output = """
            ◇ Test "a" started.
            ✔ Test "a" passed after 0.100 seconds.
            ✔ Test "b" with 2 test cases passed after 0.200 seconds.
            ➜ Suite "S" skipped: "it needs PostgreSQL"
            ➜ Test "c" skipped: "it needs PostgreSQL"
            ➜ Test "d" skipped: "it needs PostgreSQL"
            ➜ Test "e" skipped.
            \(Self.closing)
            """
        let times = #"printf '1.5 A/A.swift\n2 B/B.swift\n1 A/A.swift\n' >"$TESSERA_TEST_TIMES""#
        let run = try await Self.summarise(output, times)
        #expect(run.exit == .status(0))
        #expect(
            run.lines == [
                "2 tests passed.", "2 left out: it needs PostgreSQL.", "1 left out: no reason given.",
                "Selected with --skip EndToEndTests.",
                "The slowest files, by the seconds in which they had a database, a cluster or a program open:",
                "     2.5 A/A.swift", "     2.0 B/B.swift", "The whole log: \(run.logFile)", Self.closing,
            ]
        )
        #expect(run.log == output + "\n")
    }

    @Test("failure: the failures with their comments, the closing line last, and the status of the command")
    func failure() async throws {
        let issue = #"✘ Test "a" recorded an issue at A.swift:1:2: Expectation failed: 1 == 2"#
        let closing = "✘ Test run with 2 tests in 1 suite failed after 1.234 seconds with 1 issue."
        let output = """
            \(issue)
            ↳ why
            ✔ Test "b" passed after 0.200 seconds.
            ✘ Test "a" failed after 0.100 seconds with 1 issue.
            \(closing)
            """
        let run = try await Self.summarise(output, "exit 3")
        #expect(run.exit == .status(3))
        #expect(
            run.lines == [
                "What failed:", issue, "↳ why", #"✘ Test "a" failed after 0.100 seconds with 1 issue."#,
                "The whole log: \(run.logFile)", closing,
            ]
        )
    }

    @Test("a run that breaks off shows the end of its log")
    func crash() async throws {
        let run = try await Self.summarise("◇ Test \"a\" started.\nSegmentation fault", "exit 139")
        #expect(run.exit == .status(139))
        #expect(
            run.lines == [
                "What failed:", "", "The run broke off with status 139. The log ends like this:",
                "◇ Test \"a\" started.", "Segmentation fault", "The whole log: \(run.logFile)",
            ]
        )
    }

    @Test("a run that has gone silent is ended, and what began in it and did not end is named")
    func silent() async throws {
        let output = """
            ◇ Test "a" started.
            ◇ Test "b" started.
            ✔ Test "a" passed after 0.100 seconds.
            """
        let run = try await Self.summarise(output, "sleep 600", ["TEST_MINUTE": "0.1", "TEST_SILENCE": "3"])
        #expect(run.exit == .status(124))
        let start = try #require(run.lines.firstIndex { $0.hasPrefix("Nothing was written for 3 minutes.") })
        #expect(run.lines[start + 1] == "  b" && run.lines[start + 2] == "What failed:", "\(run.lines)")
    }

    @Test("SIGTERM ends the command, and its status is the script's")
    func terminated() async throws {
        try await Self.withFolder { folder in
            let log = folder.appending(path: "log").path
            let command = "trap 'exit 5' TERM; echo waits; while true; do sleep 0.05; done"
            let process = try Self.start([log, "bash", "-c", command], in: folder)
            try await eventually("the command runs") {
                (try? String(contentsOfFile: log, encoding: .utf8).contains("waits")) == true
            }
            #expect(try await process.terminate() == .status(5))
        }
    }

    private struct Run {
        let exit: ServerProcess.Exit
        let lines: [String]
        let logFile: String
        let log: String
    }

    /// Runs the script on a command that prints `output` and then executes `rest`.
    private static func summarise(
        _ output: String,
        _ rest: String,
        _ environment: [String: String] = [:]
    ) async throws -> Run {
        try await withFolder { folder in
            let logFile = folder.appending(path: "test.log").path
            let text = folder.appending(path: "output").path
            try Data((output + "\n").utf8).write(to: URL(filePath: text))
            let command = ["bash", "-c", "cat '\(text)'; \(rest)", "tests", "--skip", "EndToEndTests"]
            let process = try start([logFile] + command, environment, in: folder)
            let exit = try await process.waitForExit()
            let lines = process.output.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
            let log = try String(contentsOfFile: logFile, encoding: .utf8)
            return Run(exit: exit, lines: lines.map(String.init), logFile: logFile, log: log)
        }
    }

    private static func start(
        _ arguments: [String],
        _ environment: [String: String] = [:],
        in folder: URL
    ) throws -> ServerProcess {
        try ServerProcess(
            executable: Repository.root.appending(path: "scripts/summarise-tests"),
            arguments: arguments,
            environment: environment.merging(["LC_ALL": "C.UTF-8", "TESSERA_TEST_ANSWERS": ""]) { $1 },
            folder: folder
        )
    }

    private static func withFolder<T>(_ body: (URL) async throws -> T) async throws -> T {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-summary-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try await body(folder)
    }
}
