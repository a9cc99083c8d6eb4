// Runs one of PostgreSQL's programs to its end. The lines on standard error are kept for the error message; input and
// output can be connected.
import Dispatch
import Foundation
import Synchronization

#if canImport(Glibc)
    import Glibc
#endif

/// Blocks its caller, so it needs a thread of its own.
final class ChildProcess {
    private let process = Process()
    private let name: String
    private let lines = StandardErrorLines()
    private let ended = DispatchSemaphore(value: 0)
    private let isDrained = DispatchSemaphore(value: 0)
    private let inputPipe: Pipe?
    private let outputPipe: Pipe?

    /// - Parameters:
    ///   - name: found in `PATH`.
    ///   - arguments: visible to every process of the machine, so never a secret.
    ///   - environment: added to the filtered environment of this process.
    ///   - input: whether `write` is used; otherwise the program reads nothing.
    ///   - output: whether `read` is used; otherwise the output is dropped.
    ///   - onLine: called with each line on standard error.
    /// - Throws: `StartFailure` when the program is not installed or does not start.
    init(
        _ name: String,
        _ arguments: [String],
        environment: [String: String] = [:],
        input: Bool = false,
        output: Bool = false,
        onLine: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        // A program that ends early must fail a write, not end this process.
        signal(SIGPIPE, SIG_IGN)
        self.name = name
        inputPipe = input ? Pipe() : nil
        outputPipe = output ? Pipe() : nil
        let errors = Pipe()
        process.executableURL = try Self.find(name)
        process.arguments = arguments
        process.environment = Self.inherited.merging(environment) { _, given in given }
        process.standardInput = inputPipe ?? FileHandle.nullDevice
        process.standardOutput = outputPipe ?? FileHandle.nullDevice
        process.standardError = errors
        process.terminationHandler = { [ended] _ in ended.signal() }
        do {
            try Self.withAllSignalsUnblocked { try process.run() }
        } catch {
            throw StartFailure("\(name) cannot be started")
        }
        Thread.detachNewThread { [lines, isDrained] in
            let handle = errors.fileHandleForReading
            while let data = Self.next(of: handle) { lines.add(data, onLine) }
            isDrained.signal()
        }
    }

    func read() -> Data? {
        outputPipe.flatMap { Self.next(of: $0.fileHandleForReading) }
    }

    /// Returns what is available; `FileHandle` would wait for the full count.
    private static func next(of handle: FileHandle) -> Data? {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(handle.fileDescriptor, &buffer, buffer.count)
            if count > 0 { return Data(buffer[..<count]) }
            if count == 0 || errno != EINTR { return nil }
        }
    }

    /// Throws when the program stops reading; `finish` then has the reason.
    func write(_ data: Data) throws {
        try inputPipe?.fileHandleForWriting.write(contentsOf: data)
    }

    /// Closes the program's input, waits for its end, and throws its error message if it failed.
    func finish() throws {
        try? inputPipe?.fileHandleForWriting.close()
        ended.wait()
        isDrained.wait()
        guard process.terminationReason == .exit, process.terminationStatus == 0 else {
            throw StartFailure("\(name): \(lines.reason ?? "ended with \(process.terminationStatus)")")
        }
    }

    func stop() {
        process.terminate()
        try? inputPipe?.fileHandleForWriting.close()
        ended.wait()
        isDrained.wait()
    }

    private static func find(_ name: String) throws -> URL {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        for folder in path.split(separator: ":") {
            let candidate = "\(folder)/\(name)"
            if FileManager.default.isExecutableFile(atPath: candidate) { return URL(filePath: candidate) }
        }
        throw StartFailure(
            "\(name) is not installed; it comes with PostgreSQL's client programs (Debian: postgresql-client)"
        )
    }

    /// SECURITY: leaves out our settings, which include the master key.
    private static var inherited: [String: String] {
        ProcessInfo.processInfo.environment
            .filter { !$0.key.hasPrefix("TESSERA_") && !$0.key.hasPrefix("POSTGRES_") }
            // `reason` looks for English messages.
            .merging(["LC_ALL": "C.UTF-8"]) { _, given in given }
    }

    /// Threads of the cooperative pool block signals, and a child inherits the mask of the thread that starts it.
    private static func withAllSignalsUnblocked(_ body: () throws -> Void) rethrows {
        var none = sigset_t()
        var previous = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        try body()
    }
}

/// The program's error lines, which are searched for the cause of a failure.
private final class StandardErrorLines: Sendable {
    private struct State {
        var rest = ""
        var first: String?
        var last: String?
    }

    private let state = Mutex(State())

    func add(_ data: Data, _ onLine: (String) -> Void) {
        let lines: [String] = state.withLock { state in
            state.rest += String(decoding: data, as: UTF8.self)
            var lines = state.rest.components(separatedBy: "\n")
            state.rest = lines.removeLast()
            for line in lines where !line.isEmpty {
                state.last = line
                if state.first == nil, Self.isError(line) { state.first = line }
            }
            return lines
        }
        for line in lines { onLine(line) }
    }

    /// The first error; later ones are mostly its consequences.
    var reason: String? {
        state.withLock { state in
            let line = state.first ?? state.last ?? (state.rest.isEmpty ? nil : state.rest)
            return line.map { $0.replacing(/^[a-z_]+:(<stdin>:[0-9]+:)? *(ERROR: *|error: *)?/, with: "") }
        }
    }

    private static func isError(_ line: String) -> Bool {
        ["ERROR:", "FATAL:", "error:", "fatal:"].contains { line.contains($0) }
    }
}
