// Runs the real binary. A test that fails or throws releases its ServerProcess, which kills the process. Only processes
// started here are ever signalled.
package import Foundation
internal import Glibc
internal import Synchronization

package final class ServerProcess: Sendable {
    package enum Exit: Sendable, Hashable {
        case status(Int32)
        case signal(Int32)
    }

    package let identifier: Int32
    /// Standard output and standard error together.
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
    ///   - environment: Its whole environment, except `PATH`, `HOME` and the paths of shared libraries: the
    ///     configuration of the test run does not leak into the tested program.
    ///   - folder: Its working folder; the output file is made in it.
    ///   - input: Its standard input.
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

    /// `nil` while it runs.
    package var exit: Exit? { exitBox.exit.withLock { $0 } }

    package var output: String {
        (try? String(contentsOf: outputFile, encoding: .utf8)) ?? ""
    }

    /// Waits for status 200; throws at once if the process ends instead.
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

    package func waitForExit(within limit: Duration = .seconds(60)) async throws -> Exit {
        do {
            try await eventually(within: limit, "\(name) ends") { exit != nil }
        } catch let error as NeverHappened {
            throw EndedEarly(name: "\(error): \(name)", exit: nil, output: output)
        }
        guard let exit else { throw EndedEarly(name: name, exit: nil, output: output) }
        return exit
    }

    /// Returns the output; throws unless the exit status is 0.
    @discardableResult
    package func waitForSuccess(within limit: Duration = .seconds(60)) async throws -> String {
        let exit = try await waitForExit(within: limit)
        guard exit == .status(0) else { throw EndedEarly(name: name, exit: exit, output: output) }
        return output
    }

    /// Sends SIGTERM without waiting.
    package func requestStop() {
        signal(SIGTERM)
    }

    /// Sends SIGTERM and waits.
    @discardableResult
    package func terminate(within limit: Duration = .seconds(60)) async throws -> Exit {
        requestStop()
        return try await waitForExit(within: limit)
    }

    /// Sends SIGKILL, as a power cut would end it, without waiting.
    package func kill() {
        signal(SIGKILL)
    }

    private func signal(_ number: Int32) {
        // After the end another process may have the identifier.
        guard exit == nil, process.isRunning else { return }
        _ = Glibc.kill(identifier, number)
    }

    /// Threads of the cooperative pool block signals, and a child inherits the mask of the thread that starts it.
    /// Without this no SIGTERM would reach the program.
    private static func withAllSignalsUnblocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var previous = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        try body()
    }

    /// `nil` without an answer.
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

    /// A process that unexpectedly ended, or did not get ready or end; carries its output.
    package struct EndedEarly: Error, CustomStringConvertible {
        package let name: String
        package let exit: Exit?
        package let output: String

        package var description: String {
            "\(name): \(exit.map { "ended with \($0)" } ?? "still running"); it wrote:\n\(output.suffix(4000))"
        }
    }
}
