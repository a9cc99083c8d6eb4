import Foundation
import Storage

/// `sqlite:PATH`, or a libpq URI.
enum DatabaseURL: Sendable, Hashable, CustomStringConvertible {
    case sqlite(path: String)
    case postgres(url: String)

    /// From the setting, else the `POSTGRES_…` variables, else a file in the data folder.
    init(_ reader: SettingsReader, _ key: ConfigurationKey, service: String, dataDirectory: String) throws {
        if let text = try reader.text(key) {
            guard let url = DatabaseURL(text) else { throw ConfigurationError(key) }
            guard !Self.isAmbiguous(text) else {
                throw ConfigurationError(key, "has an @ too many: in a password it is written %40, and / is %2F")
            }
            self = url
        } else if let url = try Self.fromParts(reader, service: service) {
            self = .postgres(url: url)
        } else {
            self = .sqlite(path: "\(dataDirectory)/\(service).sqlite")
        }
    }

    /// `nil` for anything else. In-memory databases are refused because every connection would have its own.
    init?(_ text: String) {
        let path = text.dropFirst("sqlite:".count)
        if text.hasPrefix("sqlite:"), !path.isEmpty, path != ":memory:" {
            self = .sqlite(path: String(path))
        } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(url: text)
        } else {
            return nil
        }
    }

    /// Reads the variables of the PostgreSQL image; chat has a database of its own.
    private static func fromParts(_ reader: SettingsReader, service: String) throws -> String? {
        guard try reader.text(.postgresHost) != nil else { return nil }
        let host = try reader.line(.postgresHost)
        let port = try reader.number(.postgresPort)
        let user = try reader.line(.postgresUser)
        let database = try reader.line(.postgresDatabase, else: user)
        let name = service == "auth" ? database : "\(database)_\(service)"
        let password = try reader.text(.postgresPassword).map { ":\(escaped($0))" } ?? ""
        return "postgres://\(escaped(user))\(password)@\(escaped(host)):\(port)/\(escaped(name))"
    }

    /// SECURITY: RFC 3986 §2.1; a password with `@` or `/` must not become part of the host.
    private static func escaped(_ text: String) -> String {
        let unreserved = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~".utf8)
        return text.utf8.map { byte in
            unreserved.contains(byte) ? String(UnicodeScalar(byte)) : "%" + String(format: "%02X", Int(byte))
        }
        .joined()
    }

    var engine: SQLEngine {
        switch self {
        case .sqlite: .sqlite
        case .postgres: .postgres
        }
    }

    /// Without user, password and parameters.
    var description: String {
        switch self {
        case .sqlite(let path): "SQLite \(path)"
        case .postgres(let url): "PostgreSQL \(Self.place(url))"
        }
    }
}
