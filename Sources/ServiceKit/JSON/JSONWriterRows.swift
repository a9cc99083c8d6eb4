// Copies columns into members without an intermediate value.
//
// Like the accessors of `Row`, these throw when the column is missing or has another type. NULL is another type unless
// the name says `optional`, which writes `null`. A member has its column's name unless another is given.
package import Storage

extension JSONWriter {
    package mutating func text(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        try row.withText(name) { string($0) }
    }

    package mutating func optionalText(_ name: String, column: String? = nil, of row: Row) throws(StorageError) {
        key(own: name)
        try row.withOptionalText(column ?? name) { text in
            if let text { string(text) } else { null() }
        }
    }

    /// A text that is JSON, copied as it is.
    package mutating func json(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        try row.withText(name) { raw($0) }
    }

    package mutating func integer(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        integer(try row.integer(name))
    }

    package mutating func optionalInteger(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        if let value = try row.optionalInteger(name) { integer(value) } else { null() }
    }

    package mutating func instant(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        instant(try row.instant(name))
    }

    package mutating func optionalInstant(_ name: String, of row: Row) throws(StorageError) {
        key(own: name)
        if let value = try row.optionalInstant(name) { instant(value) } else { null() }
    }
}
