// The values of parameters and columns: six types and NULL.
//
// JSON is TEXT on purpose: stored and returned byte for byte, and never parsed by an engine. There is no floating-point
// type because no column of either service needs one.

/// The type of a statement's parameter. PostgreSQL gets its OID at prepare time, and never guesses from a text literal.
package enum SQLType: Sendable, Hashable {
    case boolean, integer, text, bytes, instant
    /// The words of a text, for full-text search.
    case words
}

/// A value bound to a parameter or read from a column.
package enum SQLValue: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case text(String)
    case bytes([UInt8])
    case instant(Instant)
    case words(IndexedWords)

    /// The declared type that this value fits, or `nil` for NULL, which fits all.
    package var type: SQLType? {
        switch self {
        case .null: nil
        case .boolean: .boolean
        case .integer: .integer
        case .text: .text
        case .bytes: .bytes
        case .instant: .instant
        case .words: .words
        }
    }
}

/// Swift values that bind as an `SQLValue`; `Optional` binds `nil` as NULL.
package protocol SQLBindable: Sendable {
    var sqlValue: SQLValue { get }
}

extension SQLValue: SQLBindable { package var sqlValue: SQLValue { self } }
extension Bool: SQLBindable { package var sqlValue: SQLValue { .boolean(self) } }
extension Int: SQLBindable { package var sqlValue: SQLValue { .integer(Int64(self)) } }
extension Int64: SQLBindable { package var sqlValue: SQLValue { .integer(self) } }
extension String: SQLBindable { package var sqlValue: SQLValue { .text(self) } }
extension Instant: SQLBindable { package var sqlValue: SQLValue { .instant(self) } }
extension [UInt8]: SQLBindable { package var sqlValue: SQLValue { .bytes(self) } }
extension IndexedWords: SQLBindable { package var sqlValue: SQLValue { .words(self) } }
extension Optional: SQLBindable where Wrapped: SQLBindable {
    package var sqlValue: SQLValue { self?.sqlValue ?? .null }
}
