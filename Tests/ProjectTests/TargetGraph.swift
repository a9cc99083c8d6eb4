// The target graph as Package.swift, docs/architecture.md and the sources' imports state it.
import Foundation

struct TargetGraph {
    /// Packages that a target needs a reason to import.
    static let heavy: Set<String> = ["Hummingbird", "HummingbirdTesting", "GRDB", "AsyncHTTPClient"]

    var mayImport: [String: Set<String>] = [:]
    /// Only targets with a path in `Package.swift`.
    private(set) var folders: [String: String] = [:]

    /// From `swift package dump-package`, which needs no build and takes no lock. Test targets are left out.
    static func declared() async throws -> TargetGraph {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "tessera-dump-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let arguments = ["--package-path", Repository.root.path, "--scratch-path", scratch.path]
        let output = try await Repository.run("swift", ["package"] + arguments + ["dump-package"])
        // Warnings come before the JSON, on the same output.
        let start = output.range(of: "{")?.lowerBound
        let manifest = try JSONDecoder().decode(Manifest.self, from: Data(output[(start ?? output.endIndex)...].utf8))
        return TargetGraph(manifest)
    }

    private init(_ manifest: Manifest) {
        let own = Set(manifest.targets.map(\.name))
        for target in manifest.targets where target.type != "test" {
            let names = target.dependencies.flatMap { $0.names }
            folders[target.name] = target.path
            mayImport[target.name] = Set(names).intersection(own.union(Self.heavy))
        }
    }

    /// From the rows of `| target | may import | why |`; names are in backticks.
    init(table document: String) {
        var isInside = false
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("| target | may import |") {
                isInside = true
            } else if !line.hasPrefix("|") {
                isInside = false
            } else if isInside, !line.hasPrefix("|---") {
                let cells = line.split(separator: "|").map(String.init)
                guard cells.count >= 3, let target = Self.quoted(cells[0]).first else { continue }
                mayImport[target] = Set(Self.quoted(cells[1]))
            }
        }
    }

    private static func quoted(_ cell: String) -> [String] {
        cell.matches(of: /`([^`]+)`/).map { String($0.1) }
    }

    /// `import A`, `package import A`, `@testable import struct A.B`.
    static func imports(of source: String) -> Set<String> {
        let line =
            /^[ \t]*(?:@[A-Za-z_]+(?:\([a-z]+\))? )*(?:(?:public|package|internal|fileprivate|private) )?import (?:(?:struct|class|enum|protocol|func|var|let|typealias) )?([A-Za-z_0-9]+)/
            .anchorsMatchLineEndings()
        return Set(source.matches(of: line).map { String($0.1) })
    }

    private struct Manifest: Decodable {
        let targets: [Target]

        struct Target: Decodable {
            let name: String
            let type: String
            let path: String?
            let dependencies: [Dependency]
        }

        /// `{"byName": ["Storage", null]}` or `{"product": ["GRDB", "GRDB.swift", null, null]}`.
        struct Dependency: Decodable {
            let names: [String]

            init(from decoder: any Decoder) throws {
                let kinds = try decoder.singleValueContainer().decode([String: [Part?]].self)
                names = kinds.values.compactMap { $0.first??.text }
            }
        }

        /// A name; conditions and aliases are ignored.
        struct Part: Decodable {
            let text: String?

            init(from decoder: any Decoder) throws {
                text = try? decoder.singleValueContainer().decode(String.self)
            }
        }
    }
}
