// What every engine must do, as cases that a test runs against each of them.
//
// Features may rely on these cases alone. They say nothing about speed. Tables come from `migration`, so that the same
// rows prove the type placeholders.

package import Storage
import Testing

/// The database under test, and how a second process would reach the same data.
package struct ConformanceSubject: Sendable {
    package let database: any InteractiveDatabase
    package let openAnother: @Sendable () async throws -> any InteractiveDatabase

    package init(
        database: any InteractiveDatabase,
        openAnother: @escaping @Sendable () async throws -> any InteractiveDatabase
    ) {
        self.database = database
        self.openAnother = openAnother
    }

    /// Runs `body` with a second handle on the same data, as another node would have it.
    func withAnother(_ body: (any InteractiveDatabase) async throws -> Void) async throws {
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
    private static let sampleInsertion = Statement(
        "fixtures.insert_sample",
        .writes,
        [
            "id": .text, "boolean": .boolean, "integer": .integer, "text": .text, "bytes": .bytes,
            "instant": .instant,
        ],
        """
        INSERT INTO samples (id, boolean, integer, text, bytes, instant)
        VALUES (:id, :boolean, :integer, :text, :bytes, :instant)
        """
    )
    private static let sample = Statement(
        "fixtures.read_sample",
        .reads,
        ["id": .text],
        "SELECT boolean, integer, text, bytes, instant FROM samples WHERE id = :id"
    )
    static let parentInsertion = Statement(
        "fixtures.insert_parent",
        .writes,
        ["id": .text, "name": .text, "count": .integer],
        "INSERT INTO parents (id, name, count) VALUES (:id, :name, :count)"
    )
    private static let childInsertion = Statement(
        "fixtures.insert_child",
        .writes,
        ["id": .text, "parent": .text],
        "INSERT INTO children (id, parent_id) VALUES (:id, :parent)"
    )
    private static let promiseInsertion = Statement(
        "fixtures.insert_promise",
        .writes,
        ["id": .text, "parent": .text],
        "INSERT INTO promises (id, parent_id) VALUES (:id, :parent)"
    )
    private static let addition = Statement(
        "fixtures.add",
        .writes,
        ["id": .text, "count": .integer],
        "UPDATE parents SET count = count + :count WHERE id = :id RETURNING count"
    )
    private static let allParents = Statement(
        "fixtures.parents",
        .reads,
        "SELECT id, name, count FROM parents ORDER BY id"
    )

    static let log = OrderedLog(lockKey: 42, channel: "fixtures")
    private static let entry = Statement(
        "fixtures.append",
        .appends(log),
        ["writer": .text],
        "INSERT INTO entries (writer) VALUES (:writer) RETURNING seq"
    )
    private static let entries = Statement(
        "fixtures.entries_after",
        .reads,
        ["seq": .integer],
        "SELECT seq, writer FROM entries WHERE seq > :seq ORDER BY seq"
    )

    static func insertSample(
        _ id: String,
        boolean: Bool? = nil,
        integer: Int64? = nil,
        text: String? = nil,
        bytes: [UInt8]? = nil,
        instant: Instant? = nil
    ) -> BoundStatement {
        sampleInsertion.bind([
            "id": id, "boolean": boolean, "integer": integer, "text": text, "bytes": bytes, "instant": instant,
        ])
    }

    static func readSample(_ id: String) -> BoundStatement { sample.bind(["id": id]) }

    static func insertParent(_ id: String, name: String?, count: Int) -> BoundStatement {
        parentInsertion.bind(["id": id, "name": name, "count": count])
    }

    static func insertChild(_ id: String, of parent: String) -> BoundStatement {
        childInsertion.bind(["id": id, "parent": parent])
    }

    static func insertPromise(_ id: String, of parent: String) -> BoundStatement {
        promiseInsertion.bind(["id": id, "parent": parent])
    }

    static func add(_ count: Int, to id: String) -> BoundStatement { addition.bind(["id": id, "count": count]) }

    static func parents() -> BoundStatement { allParents.bind() }

    static func append(_ writer: String) -> BoundStatement { entry.bind(["writer": writer]) }

    static func entries(after seq: Int64) -> BoundStatement { entries.bind(["seq": seq]) }
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
