// Which engine, and where.
import Foundation

/// `sqlite:PATH`, or a libpq URI.
enum DatabaseURL: Sendable, Hashable {
    case sqlite(path: String)
    case postgres(url: String)

    /// The setting, else the `POSTGRES_…` variables, else a file in the data folder.
    init(_ reader: SettingsReader, _ key: ConfigurationKey, service: String, dataDirectory: String) throws {
        if let text = try reader.text(key) {
            try self.init(text, key)
        } else if let url = try Self.fromParts(reader, service: service) {
            self = .postgres(url: url)
        } else {
            self = .sqlite(path: "\(dataDirectory)/\(service).sqlite")
        }
    }

    init(_ text: String, _ key: ConfigurationKey) throws {
        if text.hasPrefix("sqlite:"), text.count > "sqlite:".count {
            self = .sqlite(path: String(text.dropFirst("sqlite:".count)))
        } else if text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") {
            self = .postgres(url: text)
        } else {
            throw ConfigurationError(key, "must be sqlite:PATH or postgres://…")
        }
    }

    /// The variables of the PostgreSQL image; chat has a database of its own.
    private static func fromParts(_ reader: SettingsReader, service: String) throws -> String? {
        guard let host = try reader.text(.postgresHost) else { return nil }
        let port = try reader.integer(.postgresPort, default: 5432, in: 1...65_535)
        let user = try reader.text(.postgresUser) ?? "postgres"
        let database = try reader.text(.postgresDatabase) ?? user
        let name = service == "auth" ? database : "\(database)_\(service)"
        let password = try reader.text(.postgresPassword).map { ":\(escaped($0))" } ?? ""
        return "postgres://\(escaped(user))\(password)@\(escaped(host)):\(port)/\(escaped(name))"
    }

    private static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics.union(CharacterSet(charactersIn: "-._~"))) ?? ""
    }

    /// For people: without user, password and parameters.
    var description: String {
        switch self {
        case .sqlite(let path): "SQLite \(path)"
        case .postgres(let url): "PostgreSQL \(url.split(separator: "@").last?.split(separator: "?").first ?? "")"
        }
    }
}
