import Storage

/// The rights of a user beyond the own rows.
package enum Role: String, Sendable, CaseIterable {
    case user, premium, admin

    init(of row: Row) throws(StorageError) {
        guard let role = Role(rawValue: try row.text("role")) else { throw .invalidRow(column: "role") }
        self = role
    }
}
