// Rows as an engine returned them, read by column name.
//
// SQLite has no boolean or timestamp kind, so its integers become whatever the caller asks for; PostgreSQL
// returns typed values. The accessors accept both and throw on anything else: a wrong column is our mistake,
// and must never read as an empty value.

internal import Synchronization

/// What one statement of a unit returned.
package struct SQLResult: Sendable {
    package let rows: [Row]
    /// Rows inserted, updated or deleted; for a read, the rows returned.
    package let affected: Int

    package init(rows: [Row], affected: Int) {
        self.rows = rows
        self.affected = affected
    }

    package var first: Row? { rows.first }
    package var isEmpty: Bool { rows.isEmpty }
}

/// The column names of a result, shared by its rows.
package final class Columns: Sendable {
    package let names: [String]
    private let positions: [String: Int]
    /// Where the last look-up ended. Code reads the columns of a row in the order of the statement, so the next name is
    /// mostly the next column, and a comparison finds it sooner than a hash.
    private let next = Atomic(0)

    package init(_ names: [String]) {
        self.names = names
        self.positions = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package func position(of name: String) -> Int? {
        let guess = next.load(ordering: .relaxed)
        let position: Int
        if guess < names.count, names[guess] == name {
            position = guess
        } else if let known = positions[name] {
            position = known
        } else {
            return nil
        }
        next.store(position + 1 < names.count ? position + 1 : 0, ordering: .relaxed)
        return position
    }
}

/// One row of a result.
package struct Row: Sendable {
    package let columns: Columns
    package let values: [SQLValue]

    package init(columns: Columns, values: [SQLValue]) {
        self.columns = columns
        self.values = values
    }

    /// The value as the engine returned it.
    package func value(_ column: String) throws(StorageError) -> SQLValue {
        guard let position = columns.position(of: column) else { throw .invalidRow(column: column) }
        return values[position]
    }

    package func text(_ column: String) throws(StorageError) -> String {
        guard let value = try optionalText(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalText(_ column: String) throws(StorageError) -> String? {
        switch try value(column) {
        case .null: nil
        case .text(let text): text
        default: throw .invalidRow(column: column)
        }
    }

    package func integer(_ column: String) throws(StorageError) -> Int64 {
        guard let value = try optionalInteger(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalInteger(_ column: String) throws(StorageError) -> Int64? {
        switch try value(column) {
        case .null: nil
        case .integer(let integer): integer
        default: throw .invalidRow(column: column)
        }
    }

    package func int(_ column: String) throws(StorageError) -> Int {
        Int(try integer(column))
    }

    package func boolean(_ column: String) throws(StorageError) -> Bool {
        guard let value = try optionalBoolean(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalBoolean(_ column: String) throws(StorageError) -> Bool? {
        switch try value(column) {
        case .null: nil
        case .boolean(let boolean): boolean
        case .integer(0): false
        case .integer(1): true
        default: throw .invalidRow(column: column)
        }
    }

    package func instant(_ column: String) throws(StorageError) -> Instant {
        guard let value = try optionalInstant(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalInstant(_ column: String) throws(StorageError) -> Instant? {
        switch try value(column) {
        case .null: nil
        case .instant(let instant): instant
        case .integer(let microseconds): Instant(microseconds: microseconds)
        default: throw .invalidRow(column: column)
        }
    }

    package func bytes(_ column: String) throws(StorageError) -> [UInt8] {
        guard let value = try optionalBytes(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalBytes(_ column: String) throws(StorageError) -> [UInt8]? {
        switch try value(column) {
        case .null: nil
        case .bytes(let bytes): bytes
        default: throw .invalidRow(column: column)
        }
    }
}
