// Users copy the examples of openapi.yaml, so each is sent to the real routers. None may be refused as malformed.
import AuthService
import ChatService
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage
import TesseraVerifierHummingbird
import TestSupport
import Testing

@Suite("Request examples")
struct RequestExampleTests {
    @Test("every request example is understood by the router that it is for")
    func examplesAreUnderstood() async throws {
        let contract = try Contract()
        try await withDatabase(.sqlite, service: "auth") { authDatabase async throws in
            try await withDatabase(.sqlite, service: "chat") { chatDatabase async throws in
                let services = try await BothServices(authDatabase, chatDatabase)
                var sent = 0
                for example in contract.requestExamples() {
                    let answer = try await services.send(example)
                    #expect(
                        ![400, 405, 413, 415, 500].contains(answer.status),
                        "\(example): \(answer.text)"
                    )
                    sent += 1
                }
                #expect(sent >= 12)
                // The same path refuses an invalid body, so a green run means something.
                let wrong = RequestExample(
                    service: "auth",
                    method: "POST",
                    path: "/v1/login",
                    body: #"{"email":1,"more":2}"#
                )
                #expect(try await services.send(wrong).status == 400)
            }
        }
    }
}

struct RequestExample: CustomStringConvertible {
    let service: String
    let method: String
    let path: String
    let body: String

    var description: String { "\(service) \(method) \(path)" }
}

extension Contract {
    func requestExamples() -> [RequestExample] {
        var found: [RequestExample] = []
        for (path, item) in paths {
            let service = (item["servers"] as? [[String: Any]])?.first?["description"] as? String ?? "auth"
            for method in ["post", "put", "patch", "delete"] {
                guard let operation = item[method] as? [String: Any],
                    let body = operation["requestBody"] as? [String: Any],
                    let content = resolve(body)["content"] as? [String: [String: Any]],
                    let media = content["application/json"]
                else { continue }
                let several = (media["examples"] as? [String: [String: Any]])?.values.compactMap { $0["value"] } ?? []
                for example in several + [media["example"]].compactMap(\.self) {
                    guard let data = try? JSONSerialization.data(withJSONObject: example) else { continue }
                    found.append(
                        RequestExample(
                            service: service,
                            method: method.uppercased(),
                            path: path,
                            body: String(decoding: data, as: UTF8.self)
                        )
                    )
                }
            }
        }
        return found
    }
}

/// Both services on databases of their own, with an admin and a conversation.
struct BothServices {
    let auth: ServiceRouter<AuthRequestContext>
    let chat: ServiceRouter<ChatRequestContext>
    let token: String
    let userID: String
    let conversationID: String

    init(
        _ authDatabase: any SQLDatabase,
        _ chatDatabase: any SQLDatabase,
        requests: RequestLimits = RequestLimits()
    ) async throws {
        let url = "http://127.0.0.1:8080"
        var configuration = AuthConfiguration(
            publicURL: url,
            masterKeys: try MasterKeyRing(base64Ring: Base64.encode(RandomSource.system.bytes(32)))
        )
        configuration.argon2 = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)
        configuration.requests = requests
        let logger = Logger(label: "test")
        let service = try await AuthService(
            database: authDatabase,
            configuration: configuration,
            isReady: {},
            contract: "",
            logger: logger
        )
        auth = service.buildRouter()
        let email = try #require(Email("root@example.com"))
        let signup = Signup(email: email, password: "correct horse battery staple", name: nil)
        userID = try await service.passwords.create(signup, role: .admin, actor: nil, from: .commandLine).id
        let login = try await Self.send(
            auth,
            "POST",
            "/v1/login",
            #"{"email":"root@example.com","password":"correct horse battery staple"}"#,
            nil
        )
        token = try #require(try JSONElement.parse(login.text)["access_token"]?.text?.verbatim)
        let jwks = try await Self.send(auth, "GET", "/.well-known/jwks.json", nil, nil)
        let keys = FixedKeys(set: try KeySet(jwks: Array(jwks.text.utf8)))
        var chatConfiguration = ChatConfiguration(publicURL: "http://127.0.0.1:8081", issuer: url)
        chatConfiguration.requests = requests
        let chatService = ChatService(
            database: chatDatabase,
            configuration: chatConfiguration,
            keys: keys,
            isReady: {},
            contract: "",
            logger: logger
        )
        chat = chatService.buildRouter()
        conversationID = try await chatService.createConversation(
            ownedBy: userID,
            JSONElement.parse(#"{"messages":[{"id":"m-1","role":"user","content":"Hello"}]}"#)
        )
    }

    func send(_ example: RequestExample) async throws -> Answer {
        let id = example.service == "chat" ? conversationID : userID
        let path = example.path.replacing("{id}", with: id).replacing("{message_id}", with: "m-1")
        return example.service == "chat"
            ? try await Self.send(chat, example.method, path, example.body, token)
            : try await Self.send(auth, example.method, path, example.body, token)
    }

    /// Sends a request to the service of this name.
    static func send(
        _ service: String,
        _ services: BothServices,
        _ method: String,
        _ path: String,
        _ body: String?,
        headers: HTTPFields
    ) async throws -> Answer {
        service == "chat"
            ? try await send(services.chat, method, path, body, headers)
            : try await send(services.auth, method, path, body, headers)
    }

    private static func send<Context: WebRequestContext>(
        _ router: ServiceRouter<Context>,
        _ method: String,
        _ path: String,
        _ body: String?,
        _ headers: HTTPFields
    ) async throws -> Answer {
        let method = try #require(HTTPRequest.Method(method))
        return try await Application(router: router).test(.router) { client in
            try await client.send(method, path, body, headers: headers)
        }
    }

    private static func send<Context: WebRequestContext>(
        _ router: ServiceRouter<Context>,
        _ method: String,
        _ path: String,
        _ body: String?,
        _ token: String?
    ) async throws -> Answer {
        try await send(router, method, path, body, token.map { [.authorization: "Bearer \($0)"] } ?? [:])
    }
}

private struct FixedKeys: KeySource {
    let set: KeySet

    func snapshot() -> KeySet { set }
    func refresh(afterUnknownKeyID: String) async throws {}
}
