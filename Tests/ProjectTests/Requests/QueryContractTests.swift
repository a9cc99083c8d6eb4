// What each operation declares of its query is what openapi.yaml says of it, both ways. The declaration reads the
// values and refuses all others, so the contract promises no parameter that is refused and leaves out none that is
// read.
import Foundation
import HTTPTypes
import ServiceKit
import Testing

@Suite("Queries and the contract")
struct QueryContractTests {
    /// Operations below `/v1` whose query others write.
    private static let ignoring: Set<String> = ["/v1/validate", "/v1/validate/**"]

    @Test("every operation below /v1 reads its query, and no other does")
    func everyOperationReads() async throws {
        let (auth, chat) = try await Services.mounted()
        for route in auth + chat {
            let reads = route.path.hasPrefix("/v1/") && !Self.ignoring.contains(route.path)
            #expect(route.query.isRead == reads, "\(route.method) \(route.path)")
        }
        #expect((auth + chat).filter { !$0.query.parameters.isEmpty }.count > 20)
    }

    @Test("HEAD takes what GET takes")
    func head() async throws {
        let (auth, chat) = try await Services.mounted()
        for routes in [auth, chat] {
            for get in routes where get.method == .get {
                let head = routes.filter { $0.method == .head && $0.path == get.path }
                #expect(
                    head.map { $0.query.parameters.map(\.name) } == [get.query.parameters.map(\.name)],
                    "\(get.path)"
                )
            }
        }
    }

    @Test("parameters have the names, types and bounds of openapi.yaml")
    func parametersAgree() async throws {
        let contract = try Contract()
        let (auth, chat) = try await Services.mounted()
        var compared = 0
        for route in auth + chat where Services.methods.contains(route.method.rawValue) && route.query.isRead {
            let place = "\(route.method) \(route.path)"
            let promised = try contract.queryParameters(route.method.rawValue.lowercased(), route.path)
            let declared = Dictionary(grouping: route.query.parameters, by: \.name)
            #expect(Set(declared.keys) == Set(promised.keys), "\(place)")
            for (name, parameters) in declared {
                #expect(parameters.count == 1, "\(place) declares \(name) twice")
                guard let parameter = parameters.first, let text = promised[name] else { continue }
                #expect(Contract.QueryText(parameter) == text, "\(place) \(name)")
                compared += 1
            }
        }
        #expect(compared > 60)
    }
}

extension Contract {
    /// What is compared of a parameter. Patterns and defaults say more than a declaration does.
    struct QueryText: Equatable {
        let isRequired: Bool
        let type: String
        let bounds: [Int?]
        let values: [String]
        let format: String?

        init(_ parameter: any DeclaredParameter) {
            let schema = parameter.schema
            isRequired = parameter.isRequired
            type = schema.type
            bounds = [schema.minimum, schema.maximum, schema.maxLength]
            values = schema.values.sorted()
            format = schema.format
        }

        init(_ parameter: [String: Any], _ schema: [String: Any], isID: Bool) {
            isRequired = parameter["required"] as? Bool ?? false
            type = schema["type"] as? String ?? ""
            // The shape of an id has bounds of its own.
            bounds = [schema["minimum"] as? Int, schema["maximum"] as? Int, isID ? nil : schema["maxLength"] as? Int]
            values = (schema["enum"] as? [String] ?? []).sorted()
            format = schema["format"] as? String
        }
    }

    /// The query parameters of an operation, by name.
    func queryParameters(_ method: String, _ path: String) throws -> [String: QueryText] {
        let item = try #require(paths.first { Self.normal($0.key) == Self.normal(path) }?.value, "\(path)")
        let operation = try #require(item[method] as? [String: Any], "\(method) \(path)")
        let all = [item, operation].flatMap { $0["parameters"] as? [[String: Any]] ?? [] }.map(resolve)
        var found: [String: QueryText] = [:]
        for parameter in all where parameter["in"] as? String == "query" {
            let name = try #require(parameter["name"] as? String)
            let schema = try #require(parameter["schema"] as? [String: Any])
            let isID = schema["$ref"] as? String == "#/components/schemas/ID"
            #expect(found[name] == nil, "\(method) \(path) names \(name) twice")
            found[name] = QueryText(parameter, resolve(schema), isID: isID)
        }
        return found
    }
}
