import Foundation
import Testing

@Suite("Documents")
struct DocumentTests {
    @Test("each security class has an answer, and a test that exists or the word planned")
    func securityClasses() throws {
        let rows = try Repository.text("docs/security-classes.md")
            .split(separator: "\n")
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
            .filter { $0.first.flatMap { Int($0) } != nil }
        #expect(rows.compactMap { Int($0[0]) } == Array(1...34))
        for row in rows {
            try #require(row.count == 4, "row \(row[0])")
            #expect(!row[2].isEmpty)
            let files = row[3].matches(of: /`(Tests\/[^`]+)`/).map { String($0.1) }
            #expect(!files.isEmpty || row[3].hasPrefix("planned: ") || row[3] == "not applicable", "row \(row[0])")
            for file in files { #expect(Repository.exists(file), "row \(row[0]): \(file)") }
        }
    }

    @Test("every relative link of a document leads to a file")
    func links() async throws {
        var seen = 0
        for file in try await Repository.files() where file.hasSuffix(".md") {
            let folder = file.split(separator: "/").dropLast().map { "\($0)/" }.joined()
            for link in try Repository.text(file).matches(of: /\]\(([^)#:]+)\)/).map({ String($0.1) }) {
                #expect(Repository.exists(folder + link), "\(file): \(link)")
                seen += 1
            }
        }
        #expect(seen > 5)
    }
}
