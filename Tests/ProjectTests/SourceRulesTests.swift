// Rules that neither the compiler nor the formatter checks.
import Foundation
import TestSupport
import Testing

@Suite("Rules of the sources")
struct SourceRulesTests {
    @Test("each @unchecked Sendable has a SAFETY line above it")
    func uncheckedSendable() async throws {
        for file in try await Repository.files() where file.hasSuffix(".swift") && file.hasPrefix("Sources/") {
            #expect(Self.uncheckedWithoutReason(try Repository.text(file)) == [], "\(file)")
        }
    }

    @Test("a missing SAFETY line would be noticed")
    func uncheckedSendableIsNoticed() {
        let marker = "@unchecked " + "Sendable"
        #expect(Self.uncheckedWithoutReason("final class A: \(marker) {}") == [1])
        #expect(Self.uncheckedWithoutReason("// SAFETY: immutable\nfinal class A: \(marker) {}") == [])
        #expect(Self.uncheckedWithoutReason("// SAFETY: far away\n\n\n\n\n\nfinal class A: \(marker) {}") == [7])
    }

    @Test("nothing in Sources can stop the process on purpose, and nothing is left for later")
    func noTraps() async throws {
        let forbidden = /\btry!|\bas! |\bfatalError\(|\bTODO\b|\bFIXME\b|\bXXX\b/
        for file in try await Repository.files() where file.hasSuffix(".swift") && file.hasPrefix("Sources/") {
            for (number, line) in try Repository.text(file).split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                #expect(line.firstMatch(of: forbidden) == nil, "\(file):\(number + 1)")
            }
        }
    }

    @Test("a precondition stands only where going on would be worse than ending, as CONTRIBUTING.md says")
    func preconditions() async throws {
        let crypto = [
            "CryptoError", "Digests/DigestContext", "Digests/Digests", "Digests/RunningSHA256", "Random/RandomSource",
            "Symmetric/AESGCM",
        ]
        let allowed =
            crypto.map { "Sources/Foundations/OpenSSLCrypto/\($0).swift" } + [
                "Sources/ServiceKit/HTTP/FieldNames.swift"
            ]
        var found: [String] = []
        for file in try await Repository.files() where file.hasSuffix(".swift") && file.hasPrefix("Sources/") {
            let stops = /\b(precondition|preconditionFailure|assert|assertionFailure)\(/
            if try Repository.text(file).contains(stops) { found.append(file) }
        }
        #expect(found == allowed.sorted())
    }

    @Test("a refusal of a field for its size or range has the limits as params, so that a client can translate it")
    func limitsHaveParams() async throws {
        var seen = 0
        for file in Repository.swiftFiles(under: "Sources") {
            let text = try Repository.text(file)
            for match in text.matches(of: /"(too_long|too_short|out_of_range)",/) {
                seen += 1
                let rest = text[match.range.upperBound...].prefix(240)
                #expect(
                    rest.contains(/\.(range|atLeast|atMost)\(/),
                    "\(file): \(match.output.1)\(rest.prefix(60))"
                )
            }
        }
        #expect(seen > 10)
    }

    @Test("write(to:) writes one value, and what writes members has another name")
    func writeMeansOneThing() async throws {
        var seen = 0
        for file in try await Repository.files() where file.hasSuffix(".swift") && file.hasPrefix("Sources/") {
            let matches = try Repository.text(file).matches(
                of: /func (write|writeMembers)\(to writer: inout JSONWriter[^{]*\{\s*(\S*)/
            )
            for match in matches {
                seen += 1
                let writesValue = match.2 == "writer.object" || match.2 == "writer.array"
                #expect((match.1 == "write") == writesValue, "\(file): \(match.1)")
            }
        }
        #expect(seen > 10)
    }

    @Test("a folder of the sources holds at most 15 files, and a file at most 300 lines, as docs/architecture.md says")
    func sizes() async throws {
        let files = try await Repository.files().filter { $0.hasPrefix("Sources/") }
        #expect(files.count > 300)
        #expect(Self.fullFolders(files) == [])
        for file in files where file.hasSuffix(".swift") || file.hasSuffix(".c") {
            #expect(Self.lines(try Repository.text(file)) <= 300, "\(file)")
        }
        #expect(Self.fullFolders((1...15).map { "A/\($0).swift" } + ["A/B/16.swift"]) == [])
        #expect(Self.fullFolders((1...16).map { "A/\($0).swift" }) == ["A"])
        #expect(Self.lines("a\n\nb\n") == 3)
    }

    private static func fullFolders(_ files: [String]) -> [String] {
        let folders = Dictionary(grouping: files) { $0.split(separator: "/").dropLast().joined(separator: "/") }
        return folders.filter { $0.value.count > 15 }.keys.sorted()
    }

    private static func lines(_ source: String) -> Int { source.utf8.count { $0 == UInt8(ascii: "\n") } }

    @Test("auth's logic knows no answer of HTTP: routes and middleware turn its errors into one")
    func domainErrors() async throws {
        for file in Repository.swiftFiles(under: "Sources/AuthService") {
            let name = file.split(separator: "/").last ?? ""
            if name.contains("Routes") || name.contains("Middleware") { continue }
            #expect(!Self.namesAnswers(try Repository.text(file)), "\(file)")
        }
        #expect(Self.namesAnswers("throw APIError(.notFound)"))
        #expect(!Self.namesAnswers("throw ClientError.noSuchClient  // APIError"))
    }

    private static func namesAnswers(_ source: String) -> Bool {
        Word.all(in: SourceText(source).code).contains { $0.text == "APIError" || $0.text == "ErrorCode" }
    }

    @Test("no catch decides by a status")
    func catches() async throws {
        for file in Repository.swiftFiles(under: "Sources") {
            #expect(!Self.catchesByStatus(try Repository.text(file)), "\(file)")
        }
        #expect(Self.catchesByStatus("} catch let error as APIError where error.status == .unauthorized {"))
        #expect(!Self.catchesByStatus("} catch let error as APIError where error.code == .notFound {"))
    }

    private static func catchesByStatus(_ source: String) -> Bool {
        source.split(separator: "\n").contains { line in
            guard let start = line.firstRange(of: "catch ") else { return false }
            return line[start.upperBound...].contains(".status")
        }
    }

    @Test("no file names a path of the machine it was written on")
    func noMachinePaths() async throws {
        // In pieces, so that this file does not match itself.
        let folders = ["work", "farm", "root", "home/[a-z]+", "Users/[A-Za-z]+"].joined(separator: "|")
        let path = try Regex("(^|[^A-Za-z0-9_.~*-])/(\(folders))/")
        let files = try await Repository.files()
        #expect(files.contains("Package.swift"))
        for file in files where !file.hasSuffix(".json") {
            guard let text = try? Repository.text(file) else { continue }
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                #expect(line.firstMatch(of: path) == nil, "\(file):\(number + 1): \(line)")
            }
        }
    }

    @Test(
        "the run has a PostgreSQL, so that no suite can have been run on one engine only",
        .enabled("`make check` chooses SQLite alone") { TestScope.current != .check }
    )
    func postgresIsThere() {
        let url = ProcessInfo.processInfo.environment["TESSERA_TEST_POSTGRES_URL"]
        #expect(url?.hasPrefix("postgres://") == true, "run the tests with `make test`")
    }

    @Test("the scope of the run is a known one, so that a misspelt one leaves nothing out unnoticed")
    func scopeIsKnown() {
        #expect(TestScope.configured != nil, "TESSERA_TEST_SCOPE is one of \(TestScope.allCases.map(\.rawValue))")
    }

    /// Lines with `@unchecked Sendable` and no SAFETY: on them or the five lines above.
    private static func uncheckedWithoutReason(_ source: String) -> [Int] {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        return lines.indices.filter { index in
            let line = lines[index]
            guard line.contains("@unchecked " + "Sendable"), !line.trimmingCharacters(in: .whitespaces).hasPrefix("//")
            else { return false }
            return !lines[max(0, index - 5)...index].contains { $0.contains("SAFETY:") }
        }
        .map { $0 + 1 }
    }
}
