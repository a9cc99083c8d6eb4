// The routers, openapi.yaml and its examples must agree.
import AuthService
import ChatService
import Embedded
import Foundation
import Hummingbird
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifierHummingbird
import TestSupport
import Testing

@Suite("The contract")
struct ContractTests {
    let contract: Contract

    init() throws {
        contract = try Contract()
    }

    @Test("every route is in openapi.yaml, and every operation of it has a route")
    func routersAndContractAgree() async throws {
        let mounted = try await Services.routes()
        #expect(mounted.count > 40)
        let named = contract.operations()
        #expect(mounted.subtracting(named).sorted { "\($0)" < "\($1)" } == [], "routes that the contract does not name")
        #expect(named.subtracting(mounted).sorted { "\($0)" < "\($1)" } == [], "operations that no router has")
    }

    @Test("operation ids are unique, and every operation says what it answers")
    func operationsAreComplete() {
        var ids: [String] = []
        for (path, item) in contract.paths {
            for method in ["get", "put", "post", "patch", "delete"] {
                guard let operation = item[method] as? [String: Any] else { continue }
                ids.append(operation["operationId"] as? String ?? "\(method) \(path) has none")
                #expect(operation["summary"] != nil && operation["tags"] != nil, "\(method) \(path)")
                #expect((operation["responses"] as? [String: Any])?.isEmpty == false, "\(method) \(path)")
            }
        }
        #expect(Set(ids).count == ids.count)
    }

    @Test("every JSON body and answer has an example that its schema takes")
    func examplesFitTheirSchemas() {
        var checked = 0
        for (place, content) in contents() {
            for (type, media) in content where type.hasSuffix("json") {
                guard let schema = media["schema"] as? [String: Any] else {
                    Issue.record("\(place) has no schema")
                    continue
                }
                let examples = (media["examples"] as? [String: [String: Any]])?.values.compactMap { $0["value"] } ?? []
                let all = examples + [media["example"]].compactMap(\.self)
                #expect(!all.isEmpty, "\(place) has no example")
                for example in all {
                    #expect(contract.violations(example, schema, at: place) == [])
                    checked += 1
                }
            }
        }
        #expect(checked > 30)
    }

    @Test("the schema check refuses what does not fit, so that a green run means something")
    func schemaCheckCanFail() {
        let schema: [String: Any] = [
            "type": "object", "required": ["id"], "additionalProperties": false,
            "properties": ["id": ["type": "string", "pattern": "^[a-z]+$"], "n": ["type": "integer"]],
        ]
        #expect(contract.violations(["id": "abc", "n": 1], schema, at: "x") == [])
        for bad: [String: Any] in [["n": 1], ["id": "A"], ["id": "a", "n": "1"], ["id": "a", "more": 1]] {
            #expect(contract.violations(bad, schema, at: "x") != [])
        }
    }

    @Test("docs/errors.md lists every code once with its status and title, no other, and what a client does about each")
    func errorsAreDocumented() throws {
        let rows = try errorRows(in: "What the client does")
        let codes = ErrorCode.allCases.map { ["`\($0.rawValue)`", "\($0.status.code)", $0.title] }
        #expect(Set(rows.map { Array($0.prefix(3)) }) == Set(codes))
        #expect(rows.count == codes.count)
        let actions: Set = ["refresh", "sign in", "correct", "try later", "give up"]
        for row in rows {
            let action = row.last?.prefix { $0 != ":" }
            #expect(row.count == 4 && action.map { actions.contains(String($0)) } == true, "\(row)")
        }
    }

    @Test("docs/errors.md lists every error of the OAuth endpoints once, and no other")
    func oauthErrorsAreDocumented() throws {
        let source = try Repository.text("Sources/AuthService/OAuth/Token/OAuthError.swift")
        let codes = source.matches(of: /case \w+ = "(\w+)"/).map { "`\($0.1)`" }
        #expect(codes.count > 5)
        let rows = try errorRows(in: "OAuth")
        #expect(rows.map { $0.first ?? "" }.sorted() == codes.sorted())
        #expect(rows.allSatisfy { $0.count == 4 })
    }

    /// The cells of the rows that begin with a code, below a heading of docs/errors.md.
    private func errorRows(in heading: String) throws -> [[String]] {
        let sections = try Repository.text("docs/errors.md").split(separator: "\n## ")
        let section = try #require(sections.first { $0.hasPrefix("\(heading)\n") })
        let rows = section.split(separator: "\n").filter { $0.hasPrefix("| `") }.map { line in
            line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
        }
        // Not the head of the table.
        return rows.filter { $0.count > 1 && $0[1] != "status" }
    }

    private func contents() -> [(String, [String: [String: Any]])] {
        var found: [(String, [String: [String: Any]])] = []
        for (path, item) in contract.paths {
            for method in ["get", "put", "post", "patch", "delete"] {
                guard let operation = item[method] as? [String: Any] else { continue }
                if let body = operation["requestBody"] as? [String: Any] {
                    found.append(
                        ("\(method) \(path)", contract.resolve(body)["content"] as? [String: [String: Any]] ?? [:])
                    )
                }
                for (status, answer) in operation["responses"] as? [String: [String: Any]] ?? [:] {
                    let content = contract.resolve(answer)["content"] as? [String: [String: Any]] ?? [:]
                    found.append(("\(method) \(path) \(status)", content))
                }
            }
        }
        return found
    }
}

enum Services {
    static func routes() async throws -> Set<Contract.Operation> {
        let (auth, chat) = try await mounted()
        return operations(auth, "auth").union(operations(chat, "chat"))
    }

    static func mounted() async throws -> (auth: [Route], chat: [Route]) {
        let ring = try MasterKeyRing(base64Ring: Base64.encode(RandomSource.system.bytes(32)))
        let url = "http://127.0.0.1:8080"
        let auth = try await withDatabase(.sqlite, service: "auth") { database in
            let service = try await AuthService(
                database: database,
                configuration: AuthConfiguration(publicURL: url, masterKeys: ring),
                isReady: {},
                contract: "",
                logger: Logger(label: "test")
            )
            return service.buildRouter().routes
        }
        let chat = try await withDatabase(.sqlite, service: "chat") { database in
            let service = ChatService(
                database: database,
                configuration: ChatConfiguration(publicURL: "http://127.0.0.1:8081", issuer: url),
                keys: NoKeys(),
                isReady: {},
                contract: "",
                logger: Logger(label: "test")
            )
            return service.buildRouter().routes
        }
        return (auth, chat)
    }

    /// HEAD is implied, and OpenAPI has no word for most methods.
    static let methods: Set = ["GET", "PUT", "POST", "PATCH", "DELETE"]

    private static func operations(_ routes: [Route], _ service: String) -> Set<Contract.Operation> {
        Set(
            routes.filter { methods.contains($0.method.rawValue) }.map {
                .init(method: $0.method.rawValue, path: Contract.normal($0.path), service: service)
            }
        )
    }
}

private struct NoKeys: KeySource {
    func snapshot() -> KeySet { KeySet([:]) }
    func refresh(afterUnknownKeyID: String) async throws {}
}
