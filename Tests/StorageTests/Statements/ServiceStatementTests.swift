import AuthService
import ChatService
import Storage
import StorageConformance
import TestSupport
import Testing

@Suite("every statement of both services")
struct ServiceStatementTests {
    @Test("is understood by both engines, with NULLs and with values", arguments: TestEngine.allCases)
    func execute(engine: TestEngine) async throws {
        for (service, statements) in [("auth", AuthService.allStatements), ("chat", ChatService.allStatements)] {
            // An empty list would prove nothing.
            #expect(statements.count > 10, "\(service)")
            try await withDatabase(engine, service: service) { database async throws in
                let violations = try await StatementTrial.violations(about: statements, on: database)
                #expect(violations == [])
            }
        }
    }

    @Test("is found in its service's list")
    func listed() throws {
        // A statement that is missing from the list would be executed by no test.
        for (folder, statements) in [
            ("AuthService", AuthService.allStatements), ("ChatService", ChatService.allStatements),
        ] {
            let declared = try StatementSources.names(in: folder)
            #expect(declared.subtracting(statements.map(\.name)) == [], "\(folder)")
        }
    }
}
