// Examples/WhoAmI is a package of its own, to show what a user's package contains. A build of it would compile all
// dependencies again, for minutes, so its sources are also a target here. This test proves that both are the same:
// files, products, and no settings that a user would lack.
import Foundation
import Testing

@Suite("The example's package")
struct ExamplePackageTests {
    @Test("Examples/WhoAmI/Package.swift builds what the target WhoAmI of this package is built from")
    func same() async throws {
        let own = try await Manifest.read("Examples/WhoAmI")
        let main = try await Manifest.read("")
        let example = try #require(own.targets.first)
        let target = try #require(main.targets.first { $0.name == "WhoAmI" })
        #expect(own.targets.map(\.name) == ["WhoAmI"])
        #expect(example.path == nil && target.path == "Examples/WhoAmI/Sources/WhoAmI")
        #expect(Repository.swiftFiles(under: "Examples/WhoAmI/Sources/WhoAmI").count > 0)
        #expect(
            Repository.swiftFiles(under: "Examples/WhoAmI/Sources").allSatisfy {
                $0.contains("/WhoAmI/Sources/WhoAmI/")
            }
        )
        #expect(Set(example.dependencies.map(\.name)) == Set(target.dependencies.map(\.name)))
        #expect(example.settings.isEmpty && target.settings.isEmpty)
        #expect(own.swiftLanguageVersions == main.swiftLanguageVersions)

        // It uses only what this package offers to others.
        let library = example.dependencies.filter { $0.package == "tessera" }.map(\.name)
        #expect(library == ["TesseraVerifierHummingbird"])
        #expect(main.products.contains { $0.name == library.first && $0.isLibrary })
        #expect(own.dependencies.compactMap(\.path) == [Repository.root.standardizedFileURL.path])
        // Other packages have the versions that this one is tested with.
        for dependency in own.dependencies where dependency.path == nil {
            #expect(main.dependencies.contains(dependency), "\(dependency)")
        }
    }
}

private struct Manifest: Decodable {
    let targets: [Target]
    let products: [Product]
    let dependencies: [Dependency]
    let swiftLanguageVersions: [String]

    static func read(_ folder: String) async throws -> Manifest {
        let scratch = FileManager.default.temporaryDirectory.appending(path: "tessera-dump-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: scratch) }
        let path = Repository.root.appending(path: folder).path
        let output = try await Repository.run(
            "swift",
            ["package", "--package-path", path, "--scratch-path", scratch.path, "dump-package"]
        )
        let start = try #require(output.range(of: "{")?.lowerBound)
        return try JSONDecoder().decode(Manifest.self, from: Data(output[start...].utf8))
    }

    struct Target: Decodable {
        let name: String
        let path: String?
        let dependencies: [Reference]
        let settings: [Ignored]
    }

    struct Ignored: Decodable {}

    struct Product: Decodable {
        let name: String
        let isLibrary: Bool

        private enum CodingKeys: CodingKey { case name, type }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            isLibrary = try container.decode([String: Word?].self, forKey: .type).keys.contains("library")
        }

        /// `["automatic"]`, or null.
        private struct Word: Decodable {}
    }

    struct Reference: Decodable {
        let name: String
        let package: String?

        init(from decoder: any Decoder) throws {
            let kinds = try decoder.singleValueContainer().decode([String: [Text?]].self)
            let parts = kinds.values.first ?? []
            name = parts.first??.text ?? ""
            package = kinds["product"] == nil || parts.count < 2 ? nil : parts[1]?.text
        }

        struct Text: Decodable {
            let text: String?

            init(from decoder: any Decoder) throws {
                text = try? decoder.singleValueContainer().decode(String.self)
            }
        }
    }

    struct Dependency: Decodable, Equatable {
        let path: String?
        let address: String?
        let version: String?

        private struct FileSystem: Decodable { let path: String }
        private struct SourceControl: Decodable {
            let location: Location
            let requirement: Requirement

            struct Location: Decodable { let remote: [Remote] }
            struct Remote: Decodable { let urlString: String }
            struct Requirement: Decodable { let range: [Bounds]? }
            struct Bounds: Decodable { let lowerBound: String }
        }
        private enum CodingKeys: CodingKey { case fileSystem, sourceControl }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let remote = try container.decodeIfPresent([SourceControl].self, forKey: .sourceControl)?.first
            path = try container.decodeIfPresent([FileSystem].self, forKey: .fileSystem)?.first?.path
            address = remote?.location.remote.first?.urlString
            version = remote?.requirement.range?.first?.lowerBound
        }
    }
}
