// Runs the real binary. A test that fails or throws releases its ServerProcess, which kills the process. Only processes
// started here are ever signalled.
//
// `Foundation.Process` learns of an end from a socket that the child holds. A child that another test starts at the
// same moment inherits that socket and hides the end until it ends itself. This file waits for the process by its id.
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
    private let ending: Ending
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

        identifier = try Self.spawn(
            executable,
            arguments,
            Self.inherited.merging(environment) { _, given in given },
            folder,
            [(standardInput, STDIN_FILENO), (output, STDOUT_FILENO), (output, STDERR_FILENO)]
        )
        ending = Ending(identifier)
        let ending = ending
        Thread.detachNewThread { ending.await() }
    }

    deinit {
        kill()
    }

    /// `nil` while it runs.
    package var exit: Exit? { ending.exit }

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
        ending.signal(number)
    }

    /// Starts a program that inherits three descriptors and no others.
    private static func spawn(
        _ executable: URL,
        _ arguments: [String],
        _ environment: [String: String],
        _ folder: URL,
        _ descriptors: [(FileHandle, Int32)]
    ) throws -> pid_t {
        guard FileManager.default.isExecutableFile(atPath: executable.path) else {
            throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: executable.path])
        }
        // It changes the folder and becomes the program, with the same id.
        let env = "/usr/bin/env"
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for (handle, descriptor) in descriptors {
            posix_spawn_file_actions_adddup2(&actions, handle.fileDescriptor, descriptor)
        }
        // A close of what is not open is no error here, so a descriptor may go meanwhile.
        let open = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
        for descriptor in open where descriptor > STDERR_FILENO {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }

        // Threads of the cooperative pool block signals, and a child inherits the mask of the thread that starts it.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var argumentVector = ([env, "--chdir=\(folder.path)", executable.path] + arguments).map { strdup($0) } + [nil]
        var environmentVector = environment.map { strdup("\($0)=\($1)") } + [nil]
        defer { (argumentVector + environmentVector).forEach { free($0) } }
        var identifier: pid_t = 0
        let code = posix_spawn(
            &identifier,
            env,
            &actions,
            &attributes,
            &argumentVector,
            &environmentVector
        )
        guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EINVAL) }
        return identifier
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

    /// The end of a child. Its id stays its own until `await` has noted the end, so no signal reaches another process.
    private final class Ending: Sendable {
        private let identifier: pid_t
        private let state = Mutex<Exit?>(nil)

        init(_ identifier: pid_t) {
            self.identifier = identifier
        }

        var exit: Exit? { state.withLock { $0 } }

        /// Blocks its thread until the child ends.
        func await() {
            var information = siginfo_t()
            while waitid(P_PID, id_t(identifier), &information, WEXITED | WNOWAIT) == -1, errno == EINTR {}
            state.withLock { exit in
                var status: Int32 = 0
                while waitpid(identifier, &status, 0) == -1, errno == EINTR {}
                let signal = status & 0x7f
                exit = signal == 0 ? .status((status >> 8) & 0xff) : .signal(signal)
            }
        }

        func signal(_ number: Int32) {
            state.withLock { exit in
                if exit == nil { _ = Glibc.kill(identifier, number) }
            }
        }
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
