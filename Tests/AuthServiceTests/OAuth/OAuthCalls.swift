import AuthService
import Foundation
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import TestSupport
import Testing

struct TestClient: Sendable {
    let id: String
    let secret: String
    /// For `private_key_jwt`.
    var key: SigningKey?

    /// `client_secret_basic`.
    var basic: HTTPFields { [.authorization: "Basic \(Base64.encode(Array("\(id):\(secret)".utf8)))"] }
    /// `client_secret_post`.
    var post: [(String, String)] { [("client_id", id), ("client_secret", secret)] }
}

extension AuthNode {
    static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    static let tokenEndpoint = "https://auth.test/oauth2/token"

    func makeClient(
        _ id: String = "worker",
        scopes: [String] = ["events", "introspect"],
        audiences: [String] = ["tessera"]
    ) async throws -> TestClient {
        let draft = ClientDraft(
            id: RequestText(id),
            name: "Worker",
            scopes: scopes.map { RequestText($0) },
            audiences: audiences.map { RequestText($0) }
        )
        let made = try await service.clients.create(draft, actor: nil, from: .commandLine)
        return TestClient(id: made.client.id, secret: try #require(made.secret).text)
    }

    func makeKeyClient(
        _ id: String = "signer",
        algorithm: SigningAlgorithm = .es256,
        kid: String? = "k1"
    ) async throws -> TestClient {
        let key = try SigningKey.generate(algorithm)
        let draft = ClientDraft(
            id: RequestText(id),
            name: "Signer",
            scopes: ["events"],
            jwks: try Self.jwks([(key, kid)])
        )
        let made = try await service.clients.create(draft, actor: nil, from: .commandLine)
        #expect(made.secret == nil)
        return TestClient(id: id, secret: "", key: key)
    }

    static func jwks(_ keys: [(key: SigningKey, kid: String?)]) throws -> String {
        let members = try keys.map { key, kid in
            var jwk = key.publicKey.jwk
            jwk.kid = kid
            return String(decoding: try JSONEncoder().encode(jwk), as: UTF8.self)
        }
        return #"{"keys":[\#(members.joined(separator: ","))]}"#
    }

    func form(
        _ path: String,
        _ parameters: [(String, String)],
        headers: HTTPFields = [:]
    ) async throws -> Answer {
        var headers = headers
        headers[.contentType] = "application/x-www-form-urlencoded"
        let body = parameters.map { "\(Self.encoded($0.0))=\(Self.encoded($0.1))" }.joined(separator: "&")
        return try await send(.post, path, body, headers: headers)
    }

    func token(_ parameters: [(String, String)], headers: HTTPFields = [:]) async throws -> Answer {
        try await form("/oauth2/token", parameters, headers: headers)
    }

    func serviceToken(_ client: TestClient, scope: String? = nil) async throws -> String {
        let parameters = [("grant_type", "client_credentials")] + (scope.map { [("scope", $0)] } ?? [])
        let answer = try await token(parameters, headers: client.basic)
        try #require(answer.status == 200, "\(answer.text)")
        return try #require(answer.json["access_token"]?.string)
    }

    private static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let isPlain = RowID.isValid(String(decoding: [byte], as: UTF8.self)) || byte == UInt8(ascii: "_")
            return isPlain ? String(decoding: [byte], as: UTF8.self) : "%" + Hex.encode([byte])
        }.joined()
    }
}
