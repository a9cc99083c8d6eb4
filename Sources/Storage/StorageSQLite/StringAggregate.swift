// `string_agg(text, separator)`, which PostgreSQL has and SQLite has from 3.44 on
// (sqlite.org/lang_aggfunc.html#group_concat). Defined here for older versions, so that a statement has one text.

internal import GRDB

extension DatabaseFunction {
    static let stringAggregate = DatabaseFunction(
        "string_agg",
        argumentCount: 2,
        pure: true,
        aggregate: StringAggregate.self
    )
}

/// NULLs are left out, and a group without texts is NULL.
private struct StringAggregate: DatabaseAggregate {
    private var joined: String?

    init() {}

    mutating func step(_ values: [DatabaseValue]) {
        guard let text = String.fromDatabaseValue(values[0]) else { return }
        guard let before = joined else {
            joined = text
            return
        }
        joined = before + (String.fromDatabaseValue(values[1]) ?? "") + text
    }

    func finalize() -> (any DatabaseValueConvertible)? { joined }
}
