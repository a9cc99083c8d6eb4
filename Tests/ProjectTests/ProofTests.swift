// docs/security-classes.md cites tests, and Tests/Proofs has a patch for each class that removes the defence.
// `scripts/prove-classes` shows that the tests fail with it, which takes minutes for each.
import Foundation
import Testing

@Suite("Proofs of the security classes")
struct ProofTests {
    private struct Proof {
        let file: String
        let classes: [String]
        /// As `Target.Suite`.
        let tests: [String]

        init(file: String) throws {
            self.file = file
            let head = try Repository.text(file).split(separator: "\n").prefix { !$0.hasPrefix("diff ") }
            func values(_ name: String) -> [String] {
                head.filter { $0.hasPrefix("\(name): ") }.flatMap {
                    $0.dropFirst(name.count + 2).split(separator: ", ")
                }
                .map(String.init)
            }
            classes = values("Class")
            tests = values("Tests")
            #expect(values("Removes").isEmpty == false, "\(file)")
        }
    }

    /// The classes that have tests, with the suites that they cite.
    private func cited() throws -> [String: Set<String>] {
        var cited: [String: Set<String>] = [:]
        for line in try Repository.text("docs/security-classes.md").split(separator: "\n") where line.hasPrefix("| ") {
            let files = line.matches(of: /`Tests\/(\w+)\/(?:[^`]*\/)?(\w+)\.swift`/)
            if files.isEmpty { continue }
            let first = line.dropFirst(2).prefix { $0 != "|" && $0 != ":" }
            for name in first.split(separator: ",") {
                cited[name.trimmingCharacters(in: .whitespaces)] = Set(files.map { "\($0.1).\($0.2)" })
            }
        }
        return cited
    }

    private func proofs() throws -> [Proof] {
        let folder = try FileManager.default.contentsOfDirectory(
            atPath: Repository.root.appending(path: "Tests/Proofs").path
        )
        return try folder.filter { $0.hasSuffix(".patch") }.sorted().map { try Proof(file: "Tests/Proofs/\($0)") }
    }

    @Test("each class with tests has a patch that removes its defence, and the tests that must fail are cited")
    func complete() throws {
        let cited = try cited()
        let proofs = try proofs()
        #expect(cited.count > 25)
        #expect(Set(proofs.flatMap(\.classes)) == Set(cited.keys))
        for proof in proofs {
            #expect(!proof.tests.isEmpty && !proof.classes.isEmpty, "\(proof.file)")
            for test in proof.tests {
                for name in proof.classes {
                    #expect(cited[name]?.contains(test) == true, "\(proof.file): \(test), \(name)")
                }
                // The filter of a run names a suite by its type.
                let parts = test.split(separator: ".").map(String.init)
                let sources = try Repository.swiftFiles(under: "Tests/\(parts[0])")
                    .filter { $0.hasSuffix("/\(parts[1]).swift") }.map(Repository.text)
                #expect(sources.contains { $0.contains("struct \(parts[1])") }, "\(proof.file): \(test)")
            }
        }
    }

    @Test("each patch still applies")
    func applicable() async throws {
        for proof in try proofs() {
            let path = Repository.root.appending(path: proof.file).path
            do {
                _ = try await Repository.run("git", ["-C", Repository.root.path, "apply", "--check", path])
            } catch {
                Issue.record("\(proof.file) does not apply: change it with what it removes")
            }
        }
    }
}
