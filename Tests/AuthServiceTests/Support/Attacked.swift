// An account under attack: a node behind a proxy, so that each login comes from a network of the test's choice.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

struct Attacked: Sendable {
    let node: AuthNode
    static let email = "ada@example.com"
    /// Has failed in the last hours, once the delay runs.
    static let tainted = "198.51.100.1"

    func logIn(
        _ email: String = Self.email,
        _ password: String = AuthNode.password,
        from address: String,
        device: String? = nil
    ) async throws -> Answer {
        let marker = device.map { #","device_token":"\#($0)""# } ?? ""
        return try await node.send(
            .post,
            "/v1/login",
            #"{"email":"\#(email)","password":"\#(password)"\#(marker)}"#,
            headers: [.forwardedFor: address]
        )
    }

    func guess(_ email: String = Self.email, from address: String, device: String? = nil) async throws -> Answer {
        try await logIn(email, "wrong password", from: address, device: device)
    }

    /// Makes the account's delay run. The clock of the test stands still meanwhile.
    func delay(_ email: String = Self.email, from address: String = Self.tainted) async throws {
        for _ in 0..<10 { #expect(try await guess(email, from: address).status == 401) }
        #expect(try await logIn(email, from: address).code == "rate_limited")
    }

    /// The marker of a complete sign-in.
    func marker(_ email: String = Self.email, from address: String = "192.0.2.1") async throws -> String {
        try #require(try await logIn(email, from: address).json["device_token"]?.string)
    }
}

func withAttacked(
    _ engine: TestEngine,
    _ body: @Sendable @escaping (Attacked) async throws -> Void
) async throws {
    try await withConfiguredNode(engine, overSocket: true) {
        $0.rateLimits = true
        $0.trustedProxies = [IPNetwork("127.0.0.1")].compactMap(\.self)
    } _: { node in
        _ = try await node.signUp(Attacked.email)
        try await body(Attacked(node: node))
    }
}

extension Answer {
    /// Without what differs between two requests.
    var comparable: String {
        let id = json["request_id"]?.string ?? ""
        return "\(status) \(id.isEmpty ? text : text.split(separator: id).joined(separator: "ID"))"
    }
}
