// The processes that trust auth: a second auth node on the same database, chat, and the example with the library. Chat
// and the example reach auth through a proxy, so that a test can cut them off. The second node needs only the database.
import Foundation
import Synchronization
import TestSupport
import Testing

/// The five ways in which a token ends early.
enum Ending: CaseIterable, Sendable {
    case session, logout, password, deactivation, role
}

/// A user with a token to lose.
struct Victim: Sendable {
    let user: String
    let session: String
    let token: String
    let other: String
}

enum Verdict: Sendable, Hashable {
    case accepted, refused
    /// The service cannot decide now.
    case unavailable
}

struct Judge: Sendable {
    let name: String
    let client: Client
    let path: String

    func verdict(on token: String) async throws -> Verdict {
        let answer = try await client.get(path, token: token)
        switch answer.status {
        case 200: return .accepted
        // 403 for a token of a user who was deactivated.
        case 401, 403: return .refused
        case 503: return .unavailable
        default: throw Unexpected(description: "\(name): \(answer.status) \(answer.text)")
        }
    }

    struct Unexpected: Error, CustomStringConvertible { let description: String }
}

final class TrustFleet: Sendable {
    let installation: Installation
    /// Between auth's first node and its followers.
    let proxy: StoppableProxy
    private let secondPort: Int
    private let examplePort: Int
    private let example: Installation.Example

    init(_ settings: [String: String] = [:]) async throws {
        let own = ["TESSERA_RATE_LIMITS": "off"].merging(settings) { $1 }
        installation = try await Installation(.postgres, own)
        proxy = try await StoppableProxy(to: installation.authPort)
        secondPort = try FreePort.take()
        examplePort = try FreePort.take()
        try await installation.run("migrate", "up")
        example = Installation.Example(
            port: examplePort,
            auth: "http://127.0.0.1:\(proxy.port)",
            secret: try await installation.makeFollower("who-am-i")
        )
        chatSecret = try await installation.makeFollower("chat")
    }

    private let chatSecret: String

    var second: Judge {
        Judge(name: "second auth node", client: Client(base: "http://127.0.0.1:\(secondPort)"), path: "/v1/validate")
    }
    var chat: Judge { Judge(name: "chat", client: installation.chat, path: "/v1/conversations?limit=1") }
    var whoAmI: Judge {
        Judge(name: "example", client: Client(base: "http://127.0.0.1:\(examplePort)"), path: "/whoami")
    }
    /// They know revocations through the feed alone.
    var followers: [Judge] { [chat, whoAmI] }
    var all: [Judge] { [second] + followers }

    func startSecond() async throws -> ServerProcess {
        try await installation.startAuth(settings: [
            "TESSERA_AUTH_PORT": "\(secondPort)", "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
        ])
    }

    /// Returns when chat listens. `stale` as `TESSERA_VERIFIER_STALE`.
    func startChat(stale: String = "serve") async throws -> ServerProcess {
        let process = try installation.start(
            "chat",
            "--migrate",
            settings: [
                "TESSERA_AUTH_URL": "http://127.0.0.1:\(proxy.port)", "TESSERA_CHAT_CLIENT_ID": "chat",
                "TESSERA_CHAT_CLIENT_SECRET": chatSecret, "TESSERA_VERIFIER_STALE": stale,
                "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
            ]
        )
        try await process.waitUntilReady(port: installation.chatPort, path: "/healthz")
        return process
    }

    /// Returns when the example listens. `stale` as its `REFUSE_AFTER`.
    func startExample(stale: String = "serve") async throws -> ServerProcess {
        let process = try installation.start(example, stale: stale)
        try await eventually("the example listens") {
            guard process.exit == nil else { throw Judge.Unexpected(description: process.output) }
            return (try? RawConnection(port: examplePort)) != nil
        }
        return process
    }

    func untilFollowersAreReady() async throws {
        for judge in followers {
            try await eventually("\(judge.name) is ready") { try await judge.client.get("/readyz").status == 200 }
        }
    }

    func makeVictim() async throws -> Victim {
        let email = "victim-\(UUID().uuidString.lowercased())@example.com"
        let signup = try await installation.auth.signUp(email)
        return Victim(
            user: try #require(signup["user"]["id"].string),
            session: try #require(signup["session"]["id"].string),
            token: try #require(signup["access_token"].string),
            other: try #require(try await installation.auth.logIn(email)["access_token"].string)
        )
    }

    /// When this returns, the token is no longer valid.
    func end(_ victim: Victim, by ending: Ending, at client: Client, admin: String) async throws {
        let answer =
            switch ending {
            case .session:
                try await client.send("DELETE", "/v1/admin/sessions/\(victim.session)", token: admin)
            case .logout:
                try await client.post("/v1/logout", token: victim.token)
            case .password:
                try await client.post(
                    "/v1/password/change",
                    ["current_password": .string(Client.password), "password": "another horse battery staple"],
                    token: victim.other
                )
            case .deactivation:
                try await client.post("/v1/admin/users/\(victim.user)/deactivate", token: admin)
            case .role:
                try await client.send("PATCH", "/v1/admin/users/\(victim.user)", ["role": "admin"], token: admin)
            }
        try #require([200, 204].contains(answer.status), "\(ending): \(answer.status) \(answer.text)")
    }

    /// Returns when all followers know every revocation so far: the feed is ordered, so the last implies the others.
    func untilAllKnow() async throws {
        let last = try await makeVictim()
        #expect(try await second.client.post("/v1/logout", token: last.token).status == 204)
        for judge in all {
            try await eventually("\(judge.name) knows of the last revocation") {
                try await judge.verdict(on: last.token) == .refused
            }
        }
    }
}

/// Sends every token to every service again and again. It records what must never happen: a refused token that is
/// accepted later, or a good one that is refused.
final class TokenWatch: Sendable {
    private struct State {
        var refused: Set<String> = []
        var wrongs: [String] = []
        var answers = 0
    }

    private let judges: [Judge]
    private let doomed: [String]
    private let good: [String]
    private let state = Mutex(State())

    init(_ judges: [Judge], doomed: [String], good: [String]) {
        self.judges = judges
        self.doomed = doomed
        self.good = good
    }

    var wrongs: [String] { state.withLock(\.wrongs) }
    var answers: Int { state.withLock(\.answers) }

    func during(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for judge in judges { group.addTask { await self.watch(judge) } }
            try await body()
            group.cancelAll()
        }
    }

    private func watch(_ judge: Judge) async {
        while !Task.isCancelled {
            for (number, token) in (doomed + good).enumerated() {
                guard let verdict = try? await judge.verdict(on: token) else { continue }
                state.withLock { state in
                    state.answers += 1
                    let key = "\(judge.name), token \(number)"
                    if number >= doomed.count {
                        if verdict == .refused { state.wrongs.append("\(key): a good one was refused") }
                    } else if verdict == .refused {
                        state.refused.insert(key)
                    } else if verdict == .accepted, state.refused.contains(key) {
                        state.wrongs.append("\(key): accepted after it had been refused")
                    }
                }
            }
        }
    }
}

extension Installation {
    struct Example: Sendable {
        let port: Int
        let auth: String
        let secret: String
    }

    func start(_ example: Example, stale: String = "60") throws -> ServerProcess {
        try ServerProcess(
            executable: Self.binary.deletingLastPathComponent().appending(path: "WhoAmI"),
            arguments: [],
            environment: [
                "TESSERA_AUTH_URL": example.auth, "TESSERA_ISSUER": environment["TESSERA_PUBLIC_URL"] ?? "",
                "CLIENT_SECRET": example.secret, "PORT": "\(example.port)", "REFUSE_AFTER": stale,
            ],
            folder: folder
        )
    }

    /// Makes a client that may follow the feed, and returns its secret.
    func makeFollower(_ id: String) async throws -> String {
        let made = try await run("clients", "create", "--id", id, "--name", id, "--scope", "events")
        return String(try #require(made.firstMatch(of: /secret: (\S+)/)).1)
    }
}
