// Each service serves its part of openapi.yaml, cut from the text.
import Embedded
import Foundation
import Testing
import Yams

@testable import tessera

@Suite("The contract of one service")
struct ServiceContractTests {
    private static let whole = EmbeddedFile.all.first { $0.path == "openapi.yaml" }?.text ?? ""

    private func part(_ service: String) throws -> (text: String, contract: Contract) {
        let text = ServiceContract(of: service, at: "http://\(service).test").text(
            from: Self.whole,
            cookie: "tessera_dev"
        )
        return (text, Contract(root: try #require(try Yams.load(yaml: text) as? [String: Any])))
    }

    @Test("has all operations of the service as the whole has them, and no other", arguments: ["auth", "chat"])
    func operations(service: String) throws {
        let whole = try Contract()
        let (text, part) = try part(service)
        let own = whole.operations().filter { $0.service == service }
        #expect(part.operations().filter { $0.service == service } == own)
        #expect(!own.isEmpty && text.utf8.count < Self.whole.utf8.count)
        for (path, item) in part.paths {
            let original = try #require(whole.paths[path])
            for method in ["get", "put", "post", "patch", "delete"] {
                let (own, other) = (item[method] as? NSDictionary, original[method] as? NSDictionary)
                #expect(own == other, "\(method) \(path)")
            }
        }
    }

    @Test("has the components that its operations reach, and no other", arguments: ["auth", "chat"])
    func components(service: String) throws {
        let (text, part) = try part(service)
        let components = try #require(part.root["components"] as? [String: [String: Any]])
        var named: Set<String> = []
        for match in text.matches(of: /#\/components\/(\w+)\/(\w+)/) {
            let (category, name) = (String(match.1), String(match.2))
            #expect(components[category]?[name] != nil, "\(category) \(name)")
            named.insert(name)
        }
        for (category, entries) in components where category == "schemas" || category == "parameters" {
            for name in entries.keys { #expect(named.contains(name), "\(category) \(name)") }
        }
        let schemes = Set((components["securitySchemes"] ?? [:]).keys)
        #expect(schemes == (service == "auth" ? ["bearer", "cookie", "clientSecretBasic"] : ["bearer"]))
    }

    @Test("says where the service is, and what its cookie is called there")
    func installation() throws {
        let (text, auth) = try part("auth")
        let servers = auth.root["servers"] as? [[String: Any]]
        #expect(servers?.map { $0["url"] as? String } == ["http://auth.test"])
        #expect((auth.root["info"] as? [String: Any])?["title"] as? String == "Tessera auth")
        #expect(text.contains("name: tessera_dev") && !text.contains("name: __Host-tessera}"))
        let tags = (auth.root["tags"] as? [[String: Any]])?.compactMap { $0["name"] as? String } ?? []
        #expect(tags.contains("Passwords") && !tags.contains("Conversations"))
    }

    @Test("each enum has a name, so that a generated client does not name it by its place")
    func enums() throws {
        let contract = try Contract()
        func anonymous(_ node: Any, _ path: [String]) -> [String] {
            if let object = node as? [String: Any] {
                let isNamed = path.count == 3 && path[0] == "components" && path[1] == "schemas"
                let own = object["enum"] is [Any] && !isNamed ? [path.joined(separator: "/")] : []
                return own + object.flatMap { anonymous($0.value, path + [$0.key]) }
            }
            return (node as? [Any])?.flatMap { anonymous($0, path) } ?? []
        }
        #expect(anonymous(contract.root, []) == [])
    }
}
