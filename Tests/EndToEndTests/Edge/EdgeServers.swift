// Both services of the real binary, on both engines, for cases that each have a user of their own. The first case that
// asks for them starts them, and they end with the suite.
import Foundation
import Synchronization
import TestSupport
import Testing

/// Servers that the cases of a suite share.
final class EdgeServers: Sendable {
    struct Running: Sendable {
        let installation: Installation
        let process: ServerProcess

        var auth: EdgeClient { EdgeClient(port: installation.authPort) }
        var chat: EdgeClient { EdgeClient(port: installation.chatPort) }

        /// The token of a user that no other case has.
        func token() async throws -> String {
            let answer = try await auth.send("POST", "/v1/signup", json: Self.credentials(Self.email()))
            return try #require(answer["access_token"].string, "\(answer.text)")
        }

        static func email() -> String { "case-\(UUID().uuidString.lowercased())@example.com" }

        static func credentials(_ email: String) -> JSONValue {
            ["email": .string(email), "password": .string(Client.password)]
        }

        /// A user's address, for cases that sign in.
        func user() async throws -> String {
            let email = Self.email()
            let answer = try await auth.send("POST", "/v1/signup", json: Self.credentials(email))
            try #require(answer.status == 201, "\(answer.text)")
            return email
        }

        /// The id of a new conversation.
        func conversation(_ token: String, _ fields: JSONValue = ["title": "kept"]) async throws -> String {
            let answer = try await chat.send("POST", "/v1/conversations", json: fields, token: token)
            return try #require(answer["id"].string, "\(answer.text)")
        }

        /// The titles of a list of conversations.
        func titles(_ query: String = "", _ token: String) async throws -> [String] {
            let answer = try await chat.send("GET", "/v1/conversations\(query)", token: token)
            try #require(answer.status == 200, "\(answer.text)")
            return answer["data"].array.compactMap { $0["title"].string }
        }
    }

    @TaskLocal static var current: EdgeServers?

    private let started = Mutex<[Engine: Task<Running, any Error>]>([:])

    static let settings = [
        "TESSERA_CORS_ORIGINS": "http://localhost:3000,https://APP.example:443",
        "TESSERA_TRUSTED_PROXIES": "127.0.0.0/8", "TESSERA_RATE_LIMITS": "off",
    ]

    /// The servers on an engine.
    static func on(_ engine: Engine) async throws -> Running {
        let servers = try #require(current, "the suite has the trait .edgeServers")
        let task = servers.started.withLock { started in
            if let task = started[engine] { return task }
            let task = Task {
                let installation = try await Installation(engine, settings)
                return Running(installation: installation, process: try await installation.startDev())
            }
            started[engine] = task
            return task
        }
        return try await task.value
    }

    fileprivate func stop() async throws {
        for task in started.withLock({ $0.values }) {
            guard let running = try? await task.value else { continue }
            #expect(try await running.process.terminate() == .status(0), "\(running.process.output.suffix(2000))")
        }
    }
}

struct EdgeServersTrait: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @concurrent @Sendable () async throws -> Void
    ) async throws {
        let servers = EdgeServers()
        try await EdgeServers.$current.withValue(servers) { try await function() }
        try await servers.stop()
    }
}

extension Trait where Self == EdgeServersTrait {
    /// Servers for the whole suite.
    static var edgeServers: Self { EdgeServersTrait() }
}
