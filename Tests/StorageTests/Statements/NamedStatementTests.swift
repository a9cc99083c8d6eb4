import Storage
import StorageConformance
import TestSupport
import Testing

@Suite("named statements")
struct NamedStatementTests {
    @Test("a statement that an engine does not understand is told by name", arguments: TestEngine.allCases)
    func violations(engine: TestEngine) async throws {
        let statements = [
            Statement(
                "good.read",
                .reads,
                ["key": .text, "value": .integer],
                "SELECT key FROM settings WHERE key = :key AND integer_value > :value"
            ),
            Statement(
                "good.write",
                .writes,
                ["key": .text, "at": .instant],
                "INSERT INTO settings (key, updated_at) VALUES (:key, :at) RETURNING key"
            ),
            Statement("bad.column", .reads, "SELECT nothing FROM settings"),
            Statement("bad.syntax", .reads, "SELEC key FROM settings"),
            Statement("bad.type", .writes, ["value": .text], "UPDATE settings SET integer_value = :value"),
        ]
        try await withDatabase(engine, service: "auth") { database async throws in
            let violations = try await StatementTrial.violations(about: statements, on: database)
            for name in ["bad.column", "bad.syntax", "bad.type"] {
                #expect(violations.contains { $0.hasPrefix(name) }, "\(name) passed")
            }
            #expect(!violations.contains { $0.hasPrefix("good") }, "\(violations)")
            #expect(
                try await StatementTrial.violations(about: [statements[0], statements[0]], on: database).count == 1
            )
        }
    }
}
