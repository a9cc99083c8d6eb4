internal import Foundation
internal import Glibc

enum ServerPrograms {
    /// Debian keeps the server's programs off `PATH`, in a folder for each version.
    static func path(_ program: String) -> String {
        let root = "/usr/lib/postgresql"
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root))?.compactMap { Int($0) } ?? []
        let ordered = (versions.contains(15) ? [15] : []) + versions.sorted(by: >)
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = ordered.map { "\(root)/\($0)/bin" } + path.split(separator: ":").map(String.init) + ["/usr/sbin"]
        let found = folders.map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        // A missing program fails when it is started, with its name.
        return found ?? program
    }

    /// PostgreSQL and pgbouncer refuse to run as root. `setpriv` replaces itself by its program, so our child is the
    /// server itself.
    static func asServerUser(_ command: [String]) -> [String] {
        guard geteuid() == 0 else { return command }
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] + command
    }

    static func makeFolder(_ name: String) async throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appending(path: "\(name)-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try await giveToServer(folder, in: folder)
        return folder
    }

    static func giveToServer(_ file: URL, in folder: URL) async throws {
        guard geteuid() == 0 else { return }
        try await run(["chown", "postgres:postgres", file.path], in: folder)
    }

    @discardableResult
    static func run(_ command: [String], in folder: URL) async throws -> String {
        try await ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: command,
            environment: ["LC_ALL": "C.UTF-8"],
            folder: folder
        ).waitForSuccess()
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }
}
