import Foundation
import Storage

/// `sqlite:PATH`, or a libpq URI with the schema of the tables.
enum DatabaseURL: Sendable, Hashable, CustomStringConvertible {
    case sqlite(path: String)
    case postgres(url: String, schema: DatabaseSchema = .found(isShared: false))

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

    /// SECURITY: RFC 3986 §2.1; a password with `@` or `/` must not become part of the host.
    static func escaped(_ text: String) -> String {
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
        case .sqlite(let path): return "SQLite \(path)"
        case .postgres(let url, let schema):
            let place = "PostgreSQL \(Self.place(url))"
            if case .named(let name) = schema { return "\(place), schema \(name)" }
            return place
        }
    }
}
