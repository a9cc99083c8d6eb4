// The description of a setting. All settings are in ConfigurationRegistry.swift. The reader, `tessera settings`, the
// check for misspelled names and docs/configuration.md (which a test compares) use it.

struct ConfigurationKey: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case text, path, host, port, listenAddress, origin, origins, networks, list, limits, databaseURL, keyRing
        case postgresURL, schemaName
        case number(ClosedRange<Int>)
        case size(ClosedRange<Int>)
        /// A duration, in seconds.
        case duration(ClosedRange<Int>)
        /// In milliseconds.
        case shortDuration(ClosedRange<Int>)
        case choice([String])
        case choiceOrDuration([String], ClosedRange<Int>)
    }

    enum Fallback: Hashable, Sendable {
        case value(String)
        /// A description in Markdown.
        case described(String)
    }

    let name: String
    let kind: Kind
    let fallback: Fallback
    let isSecret: Bool
    let meaning: String

    init(_ name: String, _ kind: Kind, _ fallback: Fallback, secret: Bool = false, _ meaning: String) {
        self.name = name
        self.kind = kind
        self.fallback = fallback
        self.isSecret = secret
        self.meaning = meaning
    }

    /// `TESSERA_AUTH_PORT` is `auth_port` in a YAML file.
    var fileKey: String {
        (name.hasPrefix("TESSERA_") ? String(name.dropFirst("TESSERA_".count)) : name).lowercased()
    }

    /// The variable with the path of a file that holds the value; for secrets only.
    var fileVariable: String? { isSecret ? "\(name)_FILE" : nil }
}

extension ConfigurationKey.Kind {
    var label: String {
        switch self {
        case .text: "text"
        case .path: "path"
        case .host: "address"
        case .port: "port"
        case .listenAddress: "address:port"
        case .origin: "URL"
        case .origins: "list of origins"
        case .networks: "list of networks"
        case .list: "list"
        case .limits: "list of tier=number"
        case .databaseURL: "database"
        case .postgresURL: "postgres URL"
        case .schemaName: "schema"
        case .keyRing: "list of keys"
        case .number(let range): "number, \(range.lowerBound)–\(range.upperBound)"
        case .size(let range): "size, \(Self.shortSize(range.lowerBound))–\(Self.shortSize(range.upperBound))"
        case .duration(let range): "duration, \(Self.short(range.lowerBound))–\(Self.short(range.upperBound))"
        case .shortDuration(let range): "duration, \(range.lowerBound)ms–\(Self.short(range.upperBound / 1000))"
        case .choice(let choices): choices.map { "`\($0)`" }.joined(separator: ", ")
        case .choiceOrDuration(let choices, let range):
            "\(Self.choice(choices).label), or \(Self.duration(range).label)"
        }
    }

    /// Follows the key's name in an error message.
    var expectation: String {
        switch self {
        case .text, .host: "must be a text without line breaks"
        case .path: "must be a path"
        case .port: "must be a port from 1 to 65535"
        case .listenAddress: "must be an address with a port, such as 127.0.0.1:9090"
        case .origin: "must be an http or https URL without a path, such as https://auth.example.com"
        case .origins: "must be a list of origins, such as https://app.example.com"
        case .networks: "must be a list of networks, such as 10.0.0.0/8"
        case .list: "must be a list separated by commas, with at least one entry"
        case .limits: "must be a list such as guest=20,user=50, of guest, user, premium and admin, each once"
        case .databaseURL: "must be sqlite:PATH or postgres://…"
        case .postgresURL: "must be postgres://…"
        case .schemaName: "must be at most 63 of a–z, 0–9 and _, without a digit or pg_ at the beginning"
        case .keyRing: "must be a comma-separated list of 32-byte keys in base64, no two with the same id"
        case .number(let range): "must be a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .size(let range):
            "must be a number of bytes, or of KiB, MiB or GiB such as 256MiB, from \(Self.shortSize(range.lowerBound)) "
                + "to \(Self.shortSize(range.upperBound))"
        case .duration(let range):
            "must be a duration such as 30s, 10m, 12h or 14d, from \(Self.short(range.lowerBound)) "
                + "to \(Self.short(range.upperBound))"
        case .shortDuration(let range):
            "must be a duration such as 100ms or 2s, from \(range.lowerBound)ms to \(Self.short(range.upperBound / 1000))"
        case .choice(let choices): "must be one of \(choices.joined(separator: ", "))"
        case .choiceOrDuration(let choices, let range):
            "must be \(choices.joined(separator: ", ")), or a duration such as 30s or 10m, from "
                + "\(Self.short(range.lowerBound)) to \(Self.short(range.upperBound))"
        }
    }

    private static func short(_ seconds: Int) -> String {
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] where seconds > 0 && seconds % length == 0 {
            return "\(seconds / length)\(unit)"
        }
        return "\(seconds)s"
    }

    /// Bytes as GiB, MiB or KiB.
    private static func shortSize(_ bytes: Int) -> String {
        for (unit, length) in [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] where bytes % length == 0 {
            return "\(bytes / length)\(unit)"
        }
        return "\(bytes)"
    }
}
