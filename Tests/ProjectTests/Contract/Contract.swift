import Embedded
import Foundation
import Testing
import Yams

struct Contract {
    struct Operation: Hashable, CustomStringConvertible {
        let method: String
        let path: String
        let service: String

        var description: String { "\(service) \(method) \(path)" }
    }

    let root: [String: Any]

    init(root: [String: Any]) {
        self.root = root
    }

    init() throws {
        let file = try #require(EmbeddedFile.all.first { $0.path == "openapi.yaml" })
        root = try #require(try Yams.load(yaml: file.text) as? [String: Any])
    }

    var paths: [String: [String: Any]] { root["paths"] as? [String: [String: Any]] ?? [:] }

    /// A path without `servers` exists in both services.
    func operations() -> Set<Operation> {
        var operations: Set<Operation> = []
        for (path, item) in paths {
            let servers =
                (item["servers"] as? [[String: Any]])?.compactMap { $0["description"] as? String } ?? ["auth", "chat"]
            // One operation that stands for every method and for paths behind its own.
            let isAny = item["x-any-request"] as? Bool == true
            for method in ["get", "put", "post", "patch", "delete"] where isAny || item[method] != nil {
                for path in isAny ? [path, path + "/{path}"] : [path] {
                    for service in servers {
                        operations.insert(
                            Operation(method: method.uppercased(), path: Self.normal(path), service: service)
                        )
                    }
                }
            }
        }
        return operations
    }

    /// Compares paths without the names of parameters.
    static func normal(_ path: String) -> String {
        path.split(separator: "/").map { $0.hasPrefix("{") || $0.hasPrefix(":") || $0 == "**" ? "{}" : String($0) }
            .joined(
                separator: "/"
            )
    }

    func resolve(_ node: [String: Any]) -> [String: Any] {
        guard let reference = node["$ref"] as? String else { return node }
        var current: Any = root
        for part in reference.dropFirst(2).split(separator: "/") {
            guard let next = (current as? [String: Any])?[String(part)] else { return [:] }
            current = next
        }
        return resolve(current as? [String: Any] ?? [:])
    }
}
