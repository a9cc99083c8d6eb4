// Executes named statements, to prove that an engine understands every one of them.
//
// Values are made up from the declared types. A constraint may refuse the row, and a read may find nothing. A text that
// an engine cannot parse, a missing column or a type that does not fit is a fault.

package import Storage

package enum StatementTrial {
    /// Executes each statement with NULLs and with made-up values, each time in a transaction that is rolled back.
    ///
    /// - Returns: a sentence for each statement that the engine did not understand; empty when all is well.
    package static func violations(
        about statements: [Statement],
        on database: any InteractiveDatabase
    ) async throws -> [String] {
        var violations: [String] = []
        for statement in statements {
            let trials = [
                ("NULLs", BoundStatement(statement, statement.parameters.map { _ in .null })),
                ("values", BoundStatement(statement, statement.parameters.map(madeUp))),
            ]
            for (kind, bound) in trials {
                if let error = try await execute(bound, on: database), !isAcceptable(error) {
                    violations.append("\(statement.name) with \(kind) on \(database.engine): \(error)")
                }
            }
        }
        return violations + duplicates(statements)
    }

    private struct RollBack: Error {}

    private static func execute(_ bound: BoundStatement, on database: any InteractiveDatabase) async throws
        -> StorageError?
    {
        do {
            try await database.holdingTransaction { transaction in
                try transaction.run(bound)
                throw RollBack()
            }
            return nil
        } catch is RollBack {
            return nil
        } catch let error as StorageError {
            return error
        }
    }

    private static func madeUp(_ type: SQLType) -> SQLValue {
        switch type {
        case .boolean: .boolean(true)
        case .integer: .integer(1)
        case .text: .text("x")
        case .bytes: .bytes([1, 2, 3])
        case .instant: .instant(Instant(seconds: 1_800_000_000))
        case .words: .words(IndexedWords(text: "x y x"))
        }
    }

    /// The engine understood the statement, and refused the row or a value.
    private static func isAcceptable(_ error: StorageError) -> Bool {
        switch error {
        case .uniqueViolation, .foreignKeyViolation, .notNullViolation, .checkViolation: true
        // Class 22, data exceptions, and SQLite's "datatype mismatch" for LIMIT NULL.
        case .statementFailed(_, let code): code.hasPrefix("22") || code == "SQLite 20"
        default: false
        }
    }

    private static func duplicates(_ statements: [Statement]) -> [String] {
        Dictionary(grouping: statements, by: \.name).filter { $1.count > 1 }.keys.sorted()
            .map { "\($0) is the name of two statements" }
    }
}
