// A connection ends just as the last of a batch is sent. The server may have committed the whole batch, so it is
// unknown and must not run again.
import Foundation
import Storage
import StoragePostgres
import TestSupport
import Testing

@Suite("A connection lost while a batch is sent", .needsPostgres)
struct LostWhileSendingTests {
    private static let apply = Statement(
        "tests.apply",
        .writes,
        ["key": .text, "payload": .bytes],
        "INSERT INTO applied (key, payload) VALUES (:key, :payload)"
    )
    private static let applied = Statement(
        "tests.applied",
        .reads,
        "SELECT key, COUNT(*) AS times FROM applied GROUP BY key"
    )
    private static let sessions = Statement(
        "tests.sessions",
        .reads,
        "SELECT COUNT(*) AS n FROM pg_stat_activity WHERE application_name = 'half-closed'"
    )

    private static func isUnknown(_ error: StorageError?) -> Bool {
        if case .outcomeUnknown = error { true } else { false }
    }

    @Test("what the server may have got as a whole is unknown and not run again: no unit is there twice")
    func halfClosed() async throws {
        try await withEmptyDatabase(.postgres) { test async throws in
            try await test.database.withMigrationLock {
                try $0.execute(script: "CREATE TABLE applied (key text COLLATE \"C\" NOT NULL, payload bytea NOT NULL)")
            }
            let network = try await HalfClosingProxy(to: test.url)
            let database = try await PostgresDatabase.connect(
                url: network.url + "?application_name=half-closed",
                configuration: PostgresConfiguration(silence: .seconds(5)),
                logger: .silent
            )
            var answers: [String: StorageError?] = [:]
            for round in 1...40 where round <= 8 || !answers.values.contains(where: Self.isUnknown) {
                // More than the sockets buffer, so that the end of it has to wait.
                let payload = [UInt8](repeating: 7, count: (3 << 20) + round % 8 * 200_000)
                do throws(StorageError) {
                    _ = try await database.run(Self.apply.bind(["key": "unit-\(round)", "payload": payload]))
                    answers["unit-\(round)"] = .some(nil)
                } catch {
                    answers["unit-\(round)"] = error
                }
            }
            await database.close()
            try await eventually("everything that left has arrived") {
                try await test.database.run(Self.sessions.bind()).first?.int("n") == 0
            }
            let rows = try await test.database.run(Self.applied.bind()).rows
            let times = Dictionary(uniqueKeysWithValues: try rows.map { (try $0.text("key"), try $0.int("times")) })
            for (key, error) in answers {
                let times = times[key] ?? 0
                switch error {
                case nil: #expect(times == 1, "\(key)")
                case .unavailable: #expect(times == 0, "\(key)")
                case .outcomeUnknown: #expect(times <= 1, "\(key)")
                case .some(let error): Issue.record("\(key): \(error)")
                }
            }
            // Otherwise the connection never ended at the intended moment.
            #expect(answers.contains { key, error in error != nil && times[key] != nil })
        }
    }
}

/// A network that pauses when much is sent at once, then accepts all of it and closes the return path before it
/// forwards it.
private final class HalfClosingProxy {
    let url: String
    private let process: ServerProcess

    init(to target: String) async throws {
        let port = try FreePort.take()
        var components = try #require(URLComponents(string: target))
        let server = try #require(components.port)
        components.host = "127.0.0.1"
        components.port = port
        url = try #require(components.string)
        let process = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["python3", "-c", Self.program, "\(port)", "\(server)"],
            environment: [:],
            folder: FileManager.default.temporaryDirectory
        )
        self.process = process
        try await eventually("the proxy listens") {
            #expect(process.exit == nil, "\(process.output)")
            return (try? RawConnection(port: port)) != nil
        }
    }

    deinit { process.kill() }

    private static let program = """
        import socket, sys, threading, time

        def up(client, server):
            while data := client.recv(65536):
                server.sendall(data)
                if len(data) < 20000:
                    continue
                # Until every buffer on the way is full.
                time.sleep(0.1)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
                rest = [client.recv(8 << 20)]
                client.shutdown(socket.SHUT_WR)
                client.settimeout(0.2)
                try:
                    while more := client.recv(8 << 20):
                        rest.append(more)
                except OSError:
                    pass
                server.sendall(b"".join(rest))
                time.sleep(0.2)
                break
            for end in (client, server):
                end.close()

        def down(server, client):
            try:
                while data := server.recv(65536):
                    client.sendall(data)
            except OSError:
                pass

        def up_quietly(client, server):
            try:
                up(client, server)
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
            threading.Thread(target=up_quietly, args=(client, server), daemon=True).start()
            threading.Thread(target=down, args=(server, client), daemon=True).start()
        """
}
