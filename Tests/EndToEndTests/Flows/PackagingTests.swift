import Foundation
import TestSupport
import Testing

@Suite("The delivered binary")
struct PackagingTests {
    @Test("it has no symbols, knows its commit, names the file with its symbols, and is made once")
    func package() async throws {
        let installation = try await Installation()
        let dist = installation.folder.appending(path: "dist")
        func package(_ commit: String) async throws -> String {
            let script = Installation.repository.appending(path: "scripts/package-binary").path
            return try await Self.run(installation, [script, Installation.binary.path, dist.path], ["COMMIT": commit])
        }
        #expect(try await package("0123456789ab").contains("commit 0123456789ab"))
        let binary = dist.appending(path: "tessera").path
        #expect(try await Self.run(installation, [binary, "version"]).hasSuffix(" (commit 0123456789ab)\n"))
        let sections = try await Self.run(installation, ["readelf", "--sections", "--wide", binary])
        #expect(sections.contains(".gnu_debuglink") && !sections.contains(".symtab"), "\(sections)")
        #expect(!sections.contains(".debug_info"), "\(sections)")
        let symbols = dist.appending(path: "tessera.debug").path
        #expect(try await Self.run(installation, ["readelf", "--sections", "--wide", symbols]).contains(".symtab"))

        // Another commit is written again, the same one is not; what the linker made stays unchanged.
        #expect(try await package("fedcba987654").contains("commit fedcba987654"))
        #expect(try await Self.run(installation, [binary, "version"]).hasSuffix(" (commit fedcba987654)\n"))
        #expect(try await package("fedcba987654") == "")
        #expect(try await installation.run("version").hasSuffix(" (commit unknown)\n"))
    }

    private static func run(
        _ installation: Installation,
        _ command: [String],
        _ environment: [String: String] = [:]
    ) async throws -> String {
        try await ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: command,
            environment: environment,
            folder: installation.folder
        ).waitForSuccess()
    }
}
