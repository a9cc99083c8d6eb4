// A failing network: a proxy process between client and server. Stopped (SIGSTOP) it is silent: nothing is closed or
// refused, the kernel still takes connections, but no byte comes through. Killed, it breaks connections and refuses new
// ones, until it starts again on the same port.
internal import Foundation
internal import Glibc
internal import Synchronization

/// Forwards connections from a port of its own; ends with the last reference.
package final class StoppableProxy: Sendable {
    package let port: Int
    private let folder: URL
    private let target: Int
    private let current: Mutex<ServerProcess>
    private var process: ServerProcess { current.withLock { $0 } }

    package init(to target: Int) async throws {
        port = try FreePort.take()
        self.target = target
        folder = FileManager.default.temporaryDirectory.appending(path: "tessera-proxy-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        current = Mutex(try Self.start(from: port, to: target, in: folder))
        try await untilItListens()
    }

    package func cut() async throws {
        process.kill()
        _ = try await process.waitForExit()
    }

    package func restore() async throws {
        let fresh = try Self.start(from: port, to: target, in: folder)
        current.withLock { $0 = fresh }
        try await untilItListens()
    }

    private static func start(from port: Int, to target: Int, in folder: URL) throws -> ServerProcess {
        try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["python3", "-c", program, "\(port)", "\(target)"],
            environment: [:],
            folder: folder
        )
    }

    private func untilItListens() async throws {
        let process = process
        try await eventually("the proxy listens") {
            guard process.exit == nil else { throw ServerPrograms.Failure("the proxy ended: \(process.output)") }
            return (try? RawConnection(port: port)) != nil
        }
    }

    deinit {
        process.kill()
        try? FileManager.default.removeItem(at: folder)
    }

    /// When this returns, no byte comes through.
    package func goSilent() async throws {
        signal(SIGSTOP)
        // The signal takes a moment: every thread must have stopped.
        let tasks = "/proc/\(process.identifier)/task"
        try await eventually("the proxy has stopped") {
            try FileManager.default.contentsOfDirectory(atPath: tasks).allSatisfy { task in
                try String(contentsOfFile: "\(tasks)/\(task)/status", encoding: .utf8).contains("State:\tT")
            }
        }
    }

    /// Bytes in flight arrive late, as when a network comes back.
    package func resume() { signal(SIGCONT) }

    private func signal(_ number: Int32) {
        guard process.exit == nil else { return }
        _ = kill(process.identifier, number)
    }

    private static let program = """
        import socket, sys, threading

        def pump(source, sink):
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
            except OSError:
                pass
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=128)
        while True:
            client, _ = listener.accept()
            try:
                server = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
            except OSError:
                client.close()
                continue
            for ends in ((client, server), (server, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()
        """
}
