// An installation of its own: databases, ports, secrets and data folder, with processes of the real binary. `make test`
// builds it first.
import Foundation
import OpenSSLCrypto
import Synchronization
import TestSupport

enum Engine: String, CaseIterable, Sendable {
    case sqlite, postgres
}

final class Installation: Sendable {
    /// Removed with the installation.
    let folder: URL
    let authPort: Int
    let chatPort: Int
    let environment: [String: String]

    /// - Parameters:
    ///   - engine: of both services.
    ///   - settings: further environment of every process; an empty value removes a key.
    /// - Throws: When there is no port, no folder, or no PostgreSQL for it.
    init(_ engine: Engine = .sqlite, _ settings: [String: String] = [:]) async throws {
        let name = "tessera_e2e_\(UUID().uuidString.prefix(8).lowercased())"
        folder = FileManager.default.temporaryDirectory.appending(path: name)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        authPort = try FreePort.take()
        chatPort = try FreePort.take()
        var environment = [
            "TESSERA_AUTH_PORT": "\(authPort)",
            "TESSERA_CHAT_PORT": "\(chatPort)",
            "TESSERA_PUBLIC_URL": "http://127.0.0.1:\(authPort)",
            "TESSERA_CHAT_PUBLIC_URL": "http://127.0.0.1:\(chatPort)",
            "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
            "TESSERA_DATA_DIR": folder.appending(path: "data").path,
            "TESSERA_MASTER_KEY": Self.masterKey(),
            // Tests send as fast as they can; those of the limits set them.
            "TESSERA_PERSON_REQUESTS_PER_SECOND": "1000000", "TESSERA_PERSON_REQUESTS_BURST": "1000000",
            "TESSERA_ADDRESS_REQUESTS_PER_SECOND": "1000000", "TESSERA_ADDRESS_REQUESTS_BURST": "1000000",
        ]
        if engine == .postgres {
            environment["TESSERA_AUTH_DATABASE_URL"] = try await Self.makeDatabase("\(name)_auth", in: folder)
            environment["TESSERA_CHAT_DATABASE_URL"] = try await Self.makeDatabase("\(name)_chat", in: folder)
        }
        self.environment = environment.merging(settings) { _, given in given }
    }

    deinit {
        try? FileManager.default.removeItem(at: folder)
    }

    var auth: Client { Client(base: "http://127.0.0.1:\(authPort)") }
    var chat: Client { Client(base: "http://127.0.0.1:\(chatPort)") }

    /// Returns at once. `settings` are for this process; an empty value removes a key.
    func start(
        _ arguments: String...,
        settings: [String: String] = [:],
        input: String = ""
    ) throws -> ServerProcess {
        try start(arguments, settings: settings, input: input)
    }

    func start(_ arguments: [String], settings: [String: String], input: String) throws -> ServerProcess {
        var environment = environment.merging(settings) { _, given in given }
        // Chat without a client at auth must say so. A setting given here counts.
        if arguments.first == "chat", environment["TESSERA_CHAT_CLIENT_ID"] == nil {
            environment["TESSERA_CHAT_FOLLOW"] = environment["TESSERA_CHAT_FOLLOW"] ?? "off"
        }
        return try ServerProcess(
            executable: Self.binary,
            arguments: arguments,
            environment: environment.filter { !$0.value.isEmpty },
            folder: folder,
            input: input
        )
    }

    func startAuth(settings: [String: String] = [:]) async throws -> ServerProcess {
        let process = try start("auth", "--migrate", settings: settings)
        try await process.waitUntilReady(port: Int(settings["TESSERA_AUTH_PORT"] ?? "") ?? authPort)
        return process
    }

    func startDev() async throws -> ServerProcess {
        let process = try start("dev")
        try await process.waitUntilReady(port: authPort)
        try await process.waitUntilReady(port: chatPort)
        return process
    }

    @discardableResult
    func run(_ arguments: String..., input: String = "") async throws -> String {
        try await start(arguments, settings: [:], input: input).waitForSuccess()
    }

    /// As in `TESSERA_…_DATABASE_URL`.
    func databaseURL(_ service: String) -> String {
        environment["TESSERA_\(service.uppercased())_DATABASE_URL"]
            ?? "sqlite:\(environment["TESSERA_DATA_DIR"] ?? "")/\(service).sqlite"
    }

    private static let keys = Atomic<UInt8>(0)

    /// Each has another id than the last ones: of two random ones in 256, a ring of both is refused.
    static func masterKey() -> String {
        let id = keys.wrappingAdd(1, ordering: .relaxed).newValue
        while true {
            let key = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
            if SHA256.digest(key)[0] == id { return Base64.encode(key) }
        }
    }

    private static func makeDatabase(_ name: String, in folder: URL) async throws -> String {
        guard let server = ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"] else {
            throw NoPostgres()
        }
        let psql = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["psql", "--no-psqlrc", "--quiet", "--command", "CREATE DATABASE \(name)", server],
            environment: [:],
            folder: folder
        )
        try await psql.waitForSuccess()
        return server.split(separator: "/").dropLast().joined(separator: "/")
            .replacing("postgres:/", with: "postgres://") + "/\(name)"
    }

    private struct NoPostgres: Error, CustomStringConvertible {
        let description = "TESSERA_TEST_POSTGRES_URL is not set: run the tests with `make test`"
    }
}

extension Installation {
    static let repository = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// The binary of this build, unless `TESSERA_BINARY` names another.
    static let binary: URL = {
        if let path = ProcessInfo.processInfo.environment["TESSERA_BINARY"] { return URL(filePath: path) }
        return repository.appending(path: ".build/debug/tessera")
    }()

    /// The Python with PyJWT and others, with Caddy and Envoy beside it: `.venv`, unless `TESSERA_VENV` names another
    /// folder.
    static let python: URL = {
        let folder = ProcessInfo.processInfo.environment["TESSERA_VENV"].map { URL(filePath: $0) }
        return (folder ?? repository.appending(path: ".venv")).appending(path: "bin/python")
    }()
}
