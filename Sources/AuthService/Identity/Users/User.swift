package import ServiceKit
package import Storage

/// The columns that every check of a session reads.
package struct UserStatus: Sendable {
    package let id: String
    package let kind: String
    package let role: Role
    package let isActive: Bool
    package let tokenVersion: Int64
    package let emailVerifiedAt: Instant?

    /// Of a table joined as `u`. `User.joinedColumns` includes them.
    static let joinedColumns = "u.id, u.kind, u.role, u.is_active, u.token_version, u.email_verified_at"

    init(_ row: Row) throws(StorageError) {
        self.id = try row.text("id")
        self.kind = try row.text("kind")
        self.role = try Role(of: row)
        self.isActive = try row.boolean("is_active")
        self.tokenVersion = try row.integer("token_version")
        self.emailVerifiedAt = try row.optionalInstant("email_verified_at")
    }
}

package struct User: Sendable {
    package let id: String
    package let email: String?
    package let name: String?
    package let firstName: String?
    package let lastName: String?
    package let avatarURL: String?
    package let kind: String
    package let role: Role
    package let isActive: Bool
    package let tokenVersion: Int64
    package let emailVerifiedAt: Instant?
    package let lastLoginAt: Instant?
    package let createdAt: Instant
    package let updatedAt: Instant
    package let deactivatedAt: Instant?
    package let metadata: String

    private static let columnNames = [
        "id", "email", "name", "first_name", "last_name", "avatar_url", "kind", "role", "is_active", "token_version",
        "email_verified_at", "last_login_at", "created_at", "updated_at", "deactivated_at", "metadata",
    ]

    /// For a SELECT or RETURNING of `users`.
    static let columns = columnNames.joined(separator: ", ")

    /// Of a table joined as `u`.
    static let joinedColumns = columnNames.map { "u.\($0)" }.joined(separator: ", ")

    init(_ row: Row) throws(StorageError) {
        self.id = try row.text("id")
        self.email = try row.optionalText("email")
        self.name = try row.optionalText("name")
        self.firstName = try row.optionalText("first_name")
        self.lastName = try row.optionalText("last_name")
        self.avatarURL = try row.optionalText("avatar_url")
        self.kind = try row.text("kind")
        self.role = try Role(of: row)
        self.isActive = try row.boolean("is_active")
        self.tokenVersion = try row.integer("token_version")
        self.emailVerifiedAt = try row.optionalInstant("email_verified_at")
        self.lastLoginAt = try row.optionalInstant("last_login_at")
        self.createdAt = try row.instant("created_at")
        self.updatedAt = try row.instant("updated_at")
        self.deactivatedAt = try row.optionalInstant("deactivated_at")
        self.metadata = try row.text("metadata")
    }

    package func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("email", email)
            writer.field("email_verified", emailVerifiedAt != nil)
            writer.field("name", name)
            writer.field("first_name", firstName)
            writer.field("last_name", lastName)
            writer.field("avatar_url", avatarURL)
            writer.field("kind", kind)
            writer.field("role", role.rawValue)
            writer.field("is_active", isActive)
            writer.field("last_login_at", lastLoginAt)
            writer.field("created_at", createdAt)
            writer.field("updated_at", updatedAt)
            writer.field("deactivated_at", deactivatedAt)
            writer.field("metadata", raw: metadata)
        }
    }
}

package struct UserProfile: Sendable {
    package var name: Patch<RequestText> = .absent
    package var firstName: Patch<RequestText> = .absent
    package var lastName: Patch<RequestText> = .absent
    package var avatarURL: Patch<RequestText> = .absent
    package var metadata: Patch<String> = .absent

    package init() {}

    /// Errors stay in the body. `urlSchemes`: of its URLs.
    init(_ body: inout JSONBody, urlSchemes: Set<WebURL.Scheme>) {
        name = Self.name("name", &body)
        firstName = Self.name("first_name", &body)
        lastName = Self.name("last_name", &body)
        avatarURL = body.patchURL("avatar_url", schemes: urlSchemes)
        body.refuseNull("metadata")
        if let raw = body.rawObject("metadata", max: 16 * 1024) { metadata = .value(raw) }
    }

    var isEmpty: Bool {
        ![name, firstName, lastName, avatarURL].contains { $0.isPresent } && !metadata.isPresent
    }

    /// 1–200 characters without control characters, trimmed.
    private static let maxName = 200

    /// A name of 1 to 200 characters without control characters; surrounding white space is dropped.
    static func name(_ field: String, _ body: inout JSONBody) -> Patch<RequestText> {
        let patch = body.patchText(field)
        guard case .value(let text) = patch else { return patch }
        let name = text.collapsed
        guard !name.isEmpty, !name.hasMore(scalarsThan: maxName),
            !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            body.addError(field, "invalid", "must have from 1 to \(maxName) characters", .range(1...maxName))
            return .absent
        }
        return .value(name)
    }
}
