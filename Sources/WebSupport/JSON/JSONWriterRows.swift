// Columns into members: an answer's text is copied from the row, and nothing is made in between.
package import Storage

extension JSONWriter {
    /// A text column as a string. Throws when the column holds something else.
    ///
    /// `name` is the member's and, unless another is given, the column's.
    package mutating func text(_ name: String, column: String? = nil, of row: Row) throws(StorageError) {
        key(name)
        try row.withOptionalText(column ?? name) { text in
            if let text { string(text) } else { null() }
        }
    }

    /// A text column that holds JSON as stored.
    package mutating func json(_ name: String, of row: Row) throws(StorageError) {
        key(name)
        try row.withOptionalText(name) { json in
            if let json { raw(json) } else { null() }
        }
    }

    /// An integer column.
    package mutating func integer(_ name: String, of row: Row) throws(StorageError) {
        key(name)
        if let value = try row.optionalInteger(name) { integer(value) } else { null() }
    }

    /// A time as RFC 3339 has it.
    package mutating func instant(_ name: String, of row: Row) throws(StorageError) {
        key(name)
        if let value = try row.optionalInstant(name) { instant(value) } else { null() }
    }
}
