import Foundation
import TestSupport

enum Repository {
    static let root = URL(filePath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// Tracked files, and new ones that are not ignored.
    static func files() async throws -> [String] {
        let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"]
        return try await run("git", ["-C", root.path] + arguments)
            .split(separator: "\n").map(String.init).filter(exists).sorted()
    }

    /// As paths in the repository.
    static func swiftFiles(under folder: String) -> [String] { files(".swift", under: folder) }

    static func documents() -> [String] { files(".md", under: "docs") }

    private static func files(_ suffix: String, under folder: String) -> [String] {
        let files = FileManager.default.enumerator(atPath: root.appending(path: folder).path)
        return (files?.compactMap { $0 as? String } ?? [])
            .filter { $0.hasSuffix(suffix) }.map { "\(folder)/\($0)" }.sorted()
    }

    static func run(_ program: String, _ arguments: [String]) async throws -> String {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-project-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let process = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [program] + arguments,
            environment: [:],
            folder: folder
        )
        return try await process.waitForSuccess(within: .seconds(120))
    }
}
