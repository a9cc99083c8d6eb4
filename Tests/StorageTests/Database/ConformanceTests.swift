import Storage
import StorageConformance
import TestSupport
import Testing

@Suite("every engine conforms")
struct ConformanceTests {
    @Test("conformance", arguments: TestEngine.allCases, StorageConformance.cases)
    func conforms(engine: TestEngine, conformanceCase: ConformanceCase) async throws {
        let migration = try Migration(
            fileName: StorageConformance.migrationFileName,
            source: StorageConformance.migration
        )
        try await withTestDatabase(engine, service: "conformance", migrations: [migration]) { test async throws in
            try await conformanceCase.run(
                ConformanceSubject(database: test.database, openAnother: { try await test.openAnother() })
            )
        }
    }
}
