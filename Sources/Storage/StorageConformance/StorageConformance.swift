// What every engine must do, as cases that a test runs against each of them.
//
// Features may rely on these cases alone. They say nothing about speed. Tables come from `migration`, so that the same
// rows prove the type placeholders.

package import Storage
import Testing

/// The database under test, and how a second process would reach the same data.
package struct ConformanceSubject: Sendable {
    package let database: any SQLDatabase
    package let openAnother: @Sendable () async throws -> any SQLDatabase

    package init(database: any SQLDatabase, openAnother: @escaping @Sendable () async throws -> any SQLDatabase) {
        self.database = database
        self.openAnother = openAnother
    }

    /// Runs `body` with a second handle on the same data, as another node would have it.
    func withAnother(_ body: (any SQLDatabase) async throws -> Void) async throws {
        let other = try await openAnother()
        do {
            try await body(other)
        } catch {
            await other.close()
            throw error
        }
        await other.close()
    }
}

/// One requirement for every engine.
package struct ConformanceCase: Sendable, CustomTestStringConvertible {
    package let name: String
    package let run: @Sendable (ConformanceSubject) async throws -> Void

    init(_ name: String, _ run: @escaping @Sendable (ConformanceSubject) async throws -> Void) {
        self.name = name
        self.run = run
    }

    package var testDescription: String { name }
}

package enum StorageConformance {
    /// Every case; each needs its own database, migrated with `migration`.
    package static let cases: [ConformanceCase] =
        valueCases + statementCases + transactionCases + concurrencyCases
        + changeCases

    /// The name of the migration's file, which gives service and number.
    package static let migrationFileName = "conformance_0001_tables.sql"

    package static let migration = """
        -- migrate:up
        CREATE TABLE samples (
            id          {{text}} NOT NULL PRIMARY KEY,
            boolean     {{boolean}},
            integer     {{integer}},
            text        {{text}},
            bytes       {{bytes}},
            instant     {{instant}}
        ){{table}};
        CREATE TABLE parents (
            id          {{text}} NOT NULL PRIMARY KEY,
            name        {{text}} NOT NULL UNIQUE,
            count       {{integer}} NOT NULL DEFAULT 0 CHECK (count >= 0)
        ){{hot_table}};
        CREATE TABLE children (
            id          {{text}} NOT NULL PRIMARY KEY,
            parent_id   {{text}} NOT NULL REFERENCES parents (id) ON DELETE CASCADE
        ){{table}};
        CREATE TABLE promises (
            id          {{text}} NOT NULL PRIMARY KEY,
            parent_id   {{text}} NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED
        ){{table}};
        CREATE TABLE entries (
            seq         {{sequence}},
            writer      {{text}} NOT NULL
        ){{table}};

        -- migrate:down
        DROP TABLE entries;
        DROP TABLE promises;
        DROP TABLE children;
        DROP TABLE parents;
        DROP TABLE samples;
        """
}

/// Statements against the tables of the suite.
enum Fixtures {
    static let insertSample = Statement(
        "fixtures.insert_sample",
        .writes,
        [.text, .boolean, .integer, .text, .bytes, .instant],
        "INSERT INTO samples (id, boolean, integer, text, bytes, instant) VALUES ($1, $2, $3, $4, $5, $6)"
    )
    static let readSample = Statement(
        "fixtures.read_sample",
        .reads,
        [.text],
        "SELECT boolean, integer, text, bytes, instant FROM samples WHERE id = $1"
    )
    static let insertParent = Statement(
        "fixtures.insert_parent",
        .writes,
        [.text, .text, .integer],
        "INSERT INTO parents (id, name, count) VALUES ($1, $2, $3)"
    )
    static let insertChild = Statement(
        "fixtures.insert_child",
        .writes,
        [.text, .text],
        "INSERT INTO children (id, parent_id) VALUES ($1, $2)"
    )
    static let insertPromise = Statement(
        "fixtures.insert_promise",
        .writes,
        [.text, .text],
        "INSERT INTO promises (id, parent_id) VALUES ($1, $2)"
    )
    static let add = Statement(
        "fixtures.add",
        .writes,
        [.text, .integer],
        "UPDATE parents SET count = count + $2 WHERE id = $1 RETURNING count"
    )
    static let parents = Statement("fixtures.parents", .reads, [], "SELECT id, name, count FROM parents ORDER BY id")

    static let log = OrderedLog(lockKey: 42, channel: "fixtures")
    static let append = Statement(
        "fixtures.append",
        .appends(log),
        [.text],
        "INSERT INTO entries (writer) VALUES ($1) RETURNING seq"
    )
    static let entriesAfter = Statement(
        "fixtures.entries_after",
        .reads,
        [.integer],
        "SELECT seq, writer FROM entries WHERE seq > $1 ORDER BY seq"
    )
}

/// Runs `body` and returns the storage error it ends with; records an issue when it succeeds.
func storageError(
    sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () async throws -> Void
) async -> StorageError? {
    do {
        try await body()
        Issue.record("succeeded", sourceLocation: sourceLocation)
        return nil
    } catch let error as StorageError {
        return error
    } catch {
        Issue.record("another error: \(error)", sourceLocation: sourceLocation)
        return nil
    }
}
