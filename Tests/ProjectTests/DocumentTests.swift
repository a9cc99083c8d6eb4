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

    @Test("each class of chat data has an answer, and tests that exist and name it")
    func chatClasses() throws {
        let rows = try Repository.text("docs/security-classes.md")
            .split(separator: "\n")
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
            .filter { $0.first?.firstMatch(of: /^S\d+/) != nil }
        var classes: [String] = []
        for row in rows {
            let name = try #require(row.first)
            try #require(row.count == 3, "\(name)")
            #expect(!row[1].isEmpty, "\(name)")
            let files = row[2].matches(of: /`(Tests\/[^`]+)`/).map { String($0.1) }
            var text = ""
            for file in files {
                try #require(Repository.exists(file), "\(name): \(file)")
                text += try Repository.text(file)
            }
            for named in name.prefix(while: { $0 != ":" }).split(separator: ",") {
                let number = named.trimmingCharacters(in: .whitespaces)
                classes.append(number)
                // "S1" is not in "S12".
                let titles = text.matches(of: /"(S\d+(?:, S\d+)*)[: ]/).flatMap { $0.1.split(separator: ", ") }
                #expect(titles.contains { $0 == number }, "no test of \(row[2]) names \(number)")
            }
        }
        let expected = [1, 2, 3, 6, 7, 11, 12, 14, 15, 16, 17, 18, 20].map { "S\($0)" }
        #expect(classes.sorted() == expected.sorted())
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
