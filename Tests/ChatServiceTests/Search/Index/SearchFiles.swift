// What the files of SQLite's search index hold.
import Foundation
import Storage
import Testing

@testable import ChatService

extension Chat {
    /// 1,500 messages of 20 words: an index that no single step merges.
    func appendManyWords(to conversation: String) async throws {
        for batch in 0..<30 {
            let messages = (0..<50).map { number in
                let words = (0..<20).map { "w\(($0 * 7919 + number * 104_729 + batch * 1301) % 50_000)" }
                return #"{"role":"user","content":"\#(words.joined(separator: " "))"}"#
            }
            try await append(#"{"messages":[\#(messages.joined(separator: ","))]}"#, to: conversation)
        }
    }

    func bytesOnDisk(holding text: String) async throws -> Int {
        let statement = Statement("test.file", .reads, [:], "SELECT file FROM pragma_database_list WHERE name = 'main'")
        let file = try #require(try await database.run(statement.bind()).first).text("file")
        let marker = Data(text.utf8)
        return try ["", "-wal"].reduce(0) { count, suffix in
            guard FileManager.default.fileExists(atPath: file + suffix) else { return count }
            let bytes = try Data(contentsOf: URL(filePath: file + suffix))
            var (found, start) = (0, bytes.startIndex)
            while let range = bytes.range(of: marker, in: start..<bytes.endIndex) {
                (found, start) = (found + 1, range.upperBound)
            }
            return count + found
        }
    }

    func pagesHolding(_ text: some StringProtocol) async throws -> Int64 {
        let statement = Statement(
            "test.holding",
            .reads,
            ["word": .text],
            """
            SELECT (SELECT COUNT(*) FROM search_messages_data WHERE instr(block, CAST(:word AS BLOB)) > 0)
                + (SELECT COUNT(*) FROM search_titles_data WHERE instr(block, CAST(:word AS BLOB)) > 0) AS n
            """
        )
        return try #require(try await database.run(statement.bind(["word": String(text)])).first).integer("n")
    }
}
