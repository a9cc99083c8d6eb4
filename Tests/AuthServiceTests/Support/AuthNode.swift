import AuthService
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

/// Holds one request between its password check and the transaction that relies on it.
final class Barrier: Sendable {
    private enum State { case passing, holdingNext, holding }

    private let state = Mutex(State.passing)
    private let countOfNothing = Mutex(0)
    private let overload = Mutex(false)
    private let work = Mutex<[String]>([])

    /// Whether hashes are refused, as by a full queue.
    var refusesHashes: Bool { overload.withLock { $0 } }

    func refuseHashes(_ refuses: Bool) { overload.withLock { $0 = refuses } }

    /// The costs of the hashes that logins were compared with; `new` is that of a new one.
    func takeCosts() -> [String] {
        work.withLock { costs in
            defer { costs = [] }
            return costs
        }
    }

    func record(cost: String) { work.withLock { $0.append(cost) } }

    /// How many passwords were hashed for no account.
    var comparedWithNothing: Int { countOfNothing.withLock { $0 } }
    func countNothing() { countOfNothing.withLock { $0 += 1 } }

    /// Whether a request waits at the barrier.
    var holds: Bool { state.withLock { $0 == .holding } }

    /// The next request waits; later ones pass.
    func holdNext() { state.withLock { $0 = .holdingNext } }
    func release() { state.withLock { $0 = .passing } }

    func pass() async {
        let waits = state.withLock { state in
            guard state == .holdingNext else { return false }
            state = .holding
            return true
        }
        while waits, holds { try? await Task.sleep(for: .milliseconds(2)) }
    }
}

struct NodeOptions: Sendable {
    var ring = AuthNode.ring(1)
    var publicURL = "https://auth.test"
    var corsOrigins: [String] = []
    var rateLimits = false
    var algorithm = SigningAlgorithm.es256
}

struct AuthNode: Sendable {
    static let password = "correct horse battery staple"

    let service: AuthService
    let client: any TestClientProtocol
    let database: any SQLDatabase
    let clock: TestClock
    let barrier: Barrier

    /// The same `count` keys in every test, beginning with `first`.
    static func ring(_ count: Int, first: Int = 0) -> String {
        let keys = (0..<count).map { Base64.encode([UInt8](repeating: UInt8(0x41 + $0), count: 32)) }
        return ([keys[first]] + keys.enumerated().filter { $0.offset != first }.map(\.element)).joined(separator: ",")
    }

    typealias Answer = TestSupport.Answer

    func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ body: String? = nil,
        token: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> Answer {
        try await client.send(method, path, body, token: token, headers: headers)
    }

    struct LoggedIn: Sendable {
        let userID: String
        let sessionID: String
        let access: String
        let refresh: String
    }

    func signUp(_ email: String = "ada@example.com") async throws -> LoggedIn {
        let answer = try await send(.post, "/v1/signup", #"{"email":"\#(email)","password":"\#(Self.password)"}"#)
        try #require(answer.status == 201, "\(answer.text)")
        return try Self.loggedIn(answer)
    }

    func logInAnswer(_ email: String = "ada@example.com", password: String = Self.password) async throws -> Answer {
        try await send(.post, "/v1/login", #"{"email":"\#(email)","password":"\#(password)"}"#)
    }

    func logIn(_ email: String = "ada@example.com", password: String = Self.password) async throws -> LoggedIn {
        let answer = try await logInAnswer(email, password: password)
        try #require(answer.status == 200, "\(answer.text)")
        return try Self.loggedIn(answer)
    }

    func makeAdmin(_ email: String = "root@example.com") async throws -> LoggedIn {
        let signup = Signup(email: try #require(Email(email)), password: RequestText(Self.password), name: "Root")
        _ = try await service.passwords.create(signup, role: .admin, actor: nil, from: .commandLine)
        return try await logIn(email)
    }

    func refresh(_ token: String) async throws -> Answer {
        try await send(.post, "/v1/token/refresh", #"{"refresh_token":"\#(token)"}"#)
    }

    func me(_ token: String) async throws -> Answer { try await send(.get, "/v1/me", token: token) }

    private static func loggedIn(_ answer: Answer) throws -> LoggedIn {
        LoggedIn(
            userID: try #require(answer.json["user"]?["id"]?.string),
            sessionID: try #require(answer.json["session"]?["id"]?.string),
            access: try #require(answer.json["access_token"]?.string),
            refresh: try #require(answer.json["refresh_token"]?.string)
        )
    }

    /// Bypasses the API.
    func query(_ sql: String, _ values: StatementValues = [:]) async throws -> [Row] {
        try await database.query(sql, values)
    }

    func count(_ rows: String) async throws -> Int { try await database.count(rows) }
}

func withNode(
    _ engine: TestEngine,
    _ options: NodeOptions = NodeOptions(),
    _ body: @Sendable @escaping (AuthNode) async throws -> Void
) async throws {
    try await withNodes(engine, [options]) { try await body($0[0]) }
}

func withNodes(
    _ engine: TestEngine,
    _ options: [NodeOptions],
    _ body: @Sendable @escaping ([AuthNode]) async throws -> Void
) async throws {
    try await withDatabase(engine, service: "auth") { database async throws in
        try await open(options[...], database, TestClock(step: .microseconds(1)), Barrier(), [], body)
    }
}

private func open(
    _ options: ArraySlice<NodeOptions>,
    _ database: any SQLDatabase,
    _ clock: TestClock,
    _ barrier: Barrier,
    _ nodes: [AuthNode],
    _ body: @Sendable @escaping ([AuthNode]) async throws -> Void
) async throws {
    guard let first = options.first else { return try await body(nodes) }
    var configuration = try AuthNode.configuration(ring: first.ring, publicURL: first.publicURL)
    configuration.corsOrigins = first.corsOrigins
    configuration.rateLimits = first.rateLimits
    configuration.requests = .off
    configuration.signingAlgorithm = first.algorithm
    let rest = options.dropFirst()
    try await AuthNode.serve(configuration, on: database, clock, barrier) { node in
        try await open(rest, database, clock, barrier, nodes + [node], body)
    }
}

extension AuthNode {
    /// What tests run with: cheap hashes, a long queue for them, and no limits.
    static func configuration(
        ring: String = Self.ring(1),
        publicURL: String = "https://auth.test"
    ) throws -> AuthConfiguration {
        var configuration = AuthConfiguration(publicURL: publicURL, masterKeys: try MasterKeyRing(base64Ring: ring))
        configuration.argon2 = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
        configuration.hashQueue = 1000
        configuration.rateLimits = false
        configuration.requests = .off
        return configuration
    }

    /// Runs `body` against a node; `overSocket` sends its requests through a real connection.
    static func serve(
        _ configuration: AuthConfiguration,
        on database: any SQLDatabase,
        _ clock: TestClock,
        _ barrier: Barrier = Barrier(),
        overSocket: Bool = false,
        _ body: @Sendable @escaping (AuthNode) async throws -> Void
    ) async throws {
        let service = try await AuthService(
            database: database,
            configuration: configuration,
            isReady: {},
            contract: "",
            clock: clock.clock,
            logger: .quiet,
            hasher: WaitingHasher(configuration, barrier)
        )
        let application = Application(
            router: service.buildRouter(),
            configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            logger: .quiet
        )
        try await application.test(overSocket ? .live : .router) { client in
            try await body(
                AuthNode(service: service, client: client, database: database, clock: clock, barrier: barrier)
            )
        }
    }
}

extension Answer {
    var json: AnswerJSON { AnswerJSON(element: try? JSONElement.parse(text)) }
}

/// `nil` if the body is not JSON, which a test then reports.
struct AnswerJSON: Sendable {
    let element: JSONElement?

    subscript(name: String) -> AnswerJSON? { element?[name].map { AnswerJSON(element: $0) } }
    var string: String? { element?.string }
    var integer: Int64? { element?.integer }
    var boolean: Bool? { element?.boolean }
    var isNull: Bool { element?.isNull ?? false }
    var raw: String? { element?.raw }
    var array: [AnswerJSON]? { element?.array?.map { AnswerJSON(element: $0) } }
    var names: [String] { element?.object?.map(\.name.verbatim) ?? [] }
}
