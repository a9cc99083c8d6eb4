// The real binary, started as an operator would start it, and never left behind: a test that fails or throws
// lets go of its ServerProcess, and that kills the process. Only processes started here are ever signalled.
package import Foundation
internal import Glibc
internal import Synchronization

/// A running program whose output goes to a file.
package final class ServerProcess: Sendable {
    /// How a process ended: by itself with a status, or by a signal.
    package enum Exit: Sendable, Hashable {
        case status(Int32)
        case signal(Int32)
    }

    package let identifier: Int32
    /// Where standard output and standard error go, together.
    package let outputFile: URL
    private let name: String
    private let process: Process
    private let exitBox: ExitBox
    private let time = TestTimes()

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - executable: The program.
    ///   - arguments: Its arguments.
    ///   - environment: Its whole environment, except `PATH`, `HOME` and where shared libraries are found: what
    ///     the test run itself was configured with does not leak into what it tests.
    ///   - folder: Its working folder; the output file is made in it.
    ///   - input: What it reads from standard input.
    /// - Throws: When the program cannot be started.
    package init(
        executable: URL,
        arguments: [String],
        environment: [String: String],
        folder: URL,
        input: String = ""
    ) throws {
        name = ([executable.lastPathComponent] + arguments).joined(separator: " ")
        outputFile = folder.appending(path: "output-\(UUID().uuidString).log")
        guard FileManager.default.createFile(atPath: outputFile.path, contents: nil) else {
            throw CocoaError(.fileWriteUnknown)
        }
        let output = try FileHandle(forWritingTo: outputFile)
        defer { try? output.close() }
        let inputFile = folder.appending(path: "input-\(UUID().uuidString)")
        try Data(input.utf8).write(to: inputFile)
        let standardInput = try FileHandle(forReadingFrom: inputFile)
        defer { try? standardInput.close() }

        let exitBox = ExitBox()
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.currentDirectoryURL = folder
        process.environment = Self.inherited.merging(environment) { _, given in given }
        process.standardInput = standardInput
        process.standardOutput = output
        process.standardError = output
        process.terminationHandler = { process in
            let status = process.terminationStatus
            exitBox.exit.withLock { $0 = process.terminationReason == .exit ? .status(status) : .signal(status) }
        }
        try Self.withAllSignalsUnblocked { try process.run() }
        identifier = process.processIdentifier
        self.process = process
        self.exitBox = exitBox
    }

    deinit {
        kill()
    }

    /// How the process ended; `nil` while it runs.
    package var exit: Exit? { exitBox.exit.withLock { $0 } }

    /// Everything the process has written so far.
    package var output: String {
        (try? String(contentsOf: outputFile, encoding: .utf8)) ?? ""
    }

    /// Waits until a GET of `path` on `port` is answered with 200; throws at once when the process ends instead.
    package func waitUntilReady(port: Int, path: String = "/readyz", within limit: Duration = .seconds(60)) async throws
    {
        do {
            try await eventually(within: limit, "\(name) answers \(path)") {
                if let exit { throw EndedEarly(name: name, exit: exit, output: output) }
                return try await Self.status(port: port, path: path) == 200
            }
        } catch let error as NeverHappened {
            throw EndedEarly(name: "\(error): \(name)", exit: nil, output: output)
        }
    }

    /// Waits until the process has ended.
    package func waitForExit(within limit: Duration = .seconds(60)) async throws -> Exit {
        do {
            try await eventually(within: limit, "\(name) ends") { exit != nil }
        } catch let error as NeverHappened {
            throw EndedEarly(name: "\(error): \(name)", exit: nil, output: output)
        }
        guard let exit else { throw EndedEarly(name: name, exit: nil, output: output) }
        return exit
    }

    /// Waits until the process has ended and returns what it wrote; throws when its status is not 0.
    @discardableResult
    package func waitForSuccess(within limit: Duration = .seconds(60)) async throws -> String {
        let exit = try await waitForExit(within: limit)
        guard exit == .status(0) else { throw EndedEarly(name: name, exit: exit, output: output) }
        return output
    }

    /// Asks the process to stop (SIGTERM) without waiting for it.
    package func requestStop() {
        signal(SIGTERM)
    }

    /// Asks the process to stop (SIGTERM) and waits until it has.
    @discardableResult
    package func terminate(within limit: Duration = .seconds(60)) async throws -> Exit {
        requestStop()
        return try await waitForExit(within: limit)
    }

    /// Ends the process as a power cut would (SIGKILL), without waiting.
    package func kill() {
        signal(SIGKILL)
    }

    private func signal(_ number: Int32) {
        // Once it has ended its identifier may belong to somebody else.
        guard exit == nil, process.isRunning else { return }
        _ = Glibc.kill(identifier, number)
    }

    /// Threads of the cooperative pool block signals, and a child inherits the mask of the thread that starts it:
    /// without this no SIGTERM would ever reach the program.
    private static func withAllSignalsUnblocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var previous = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        try body()
    }

    /// The status of one GET; `nil` when nobody answers.
    private static func status(port: Int, path: String) async throws -> Int? {
        guard let connection = try? RawConnection(port: port) else { return nil }
        let request = "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1:\(port)\r\nConnection: close\r\n\r\n"
        guard (try? connection.send(request)) != nil else { return nil }
        guard let answer = try? await connection.receiveUntilClosed(within: .seconds(5)) else { return nil }
        return answer.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap { Int($0) }
    }

    private static let inherited = ProcessInfo.processInfo.environment
        .filter { ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LANG"].contains($0.key) }

    private final class ExitBox: Sendable {
        let exit = Mutex<Exit?>(nil)
    }

    /// A process that ended, or did not get ready or end, against expectation; carries what it wrote.
    package struct EndedEarly: Error, CustomStringConvertible {
        package let name: String
        package let exit: Exit?
        package let output: String

        package var description: String {
            "\(name): \(exit.map { "ended with \($0)" } ?? "still running"); it wrote:\n\(output.suffix(4000))"
        }
    }
}
