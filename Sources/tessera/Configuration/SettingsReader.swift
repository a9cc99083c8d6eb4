// Reads single settings: flags, then the environment, then the file; the first that has the key counts.
import Configuration
import Foundation
import SystemPackage
import WebSupport

/// Typed access to settings, complaining by key.
struct SettingsReader: Sendable {
    private let flags: [String: String]
    private let environment: [String: String]
    private let file: ConfigReader?

    /// - Parameters:
    ///   - flags: by the name of the key.
    ///   - file: a YAML file, or nil.
    /// - Throws: when the file cannot be read, or a `TESSERA_…` name is not a key.
    init(flags: [String: String], environment: [String: String], file path: String?) async throws {
        self.flags = flags
        self.environment = environment
        if let path {
            do {
                self.file = ConfigReader(provider: try await FileProvider<YAMLSnapshot>(filePath: .init(path)))
            } catch {
                throw ConfigurationError(key: "--config", "must name a readable YAML file")
            }
        } else {
            self.file = nil
        }
        try refuseUnknown()
    }

    /// A misspelled variable is ignored by most servers, and a security setting is then silently off.
    private func refuseUnknown() throws {
        let known = Set(ConfigurationKey.all.flatMap { $0.isSecret ? [$0.name, "\($0.name)_FILE"] : [$0.name] })
        let names = (Array(flags.keys) + environment.keys.filter { $0.hasPrefix("TESSERA_") }).sorted()
        // Names that the test tooling sets beside the server's own.
        let foreign = ["TESSERA_TEST_", "TESSERA_BINARY", "TESSERA_VENV"]
        for name in names where !known.contains(name) && !foreign.contains(where: name.hasPrefix) {
            let nearest = known.min { distance($0, name) < distance($1, name) }
            throw ConfigurationError(key: name, "is not a setting\(nearest.map { "; did you mean \($0)?" } ?? "")")
        }
    }

    /// The raw text, or `nil` when nobody set the key. An empty variable counts as not set.
    func text(_ key: ConfigurationKey) throws -> String? {
        if let flag = flags[key.name], !flag.isEmpty { return flag }
        if let value = environment[key.name], !value.isEmpty { return value }
        if key.isSecret, let path = environment["\(key.name)_FILE"], !path.isEmpty {
            guard let content = try? String(contentsOfFile: path, encoding: .utf8) else {
                throw ConfigurationError(key: "\(key.name)_FILE", "must name a readable file")
            }
            return content.trimmingCharacters(in: .whitespacesAndNewlines)
        }
        guard let file else { return nil }
        let name = ConfigKey([key.fileKey])
        return file.string(forKey: name, isSecret: key.isSecret) ?? file.int(forKey: name).map(String.init)
    }

    func integer(_ key: ConfigurationKey, default value: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = try text(key) else { return value }
        guard let number = Int(text), range.contains(number) else {
            throw ConfigurationError(key, "must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A whole number with `s`, `m`, `h` or `d`.
    func duration(_ key: ConfigurationKey, default value: Duration, in range: ClosedRange<Int64>) throws -> Duration {
        guard let text = try text(key) else { return value }
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let unit = text.last.flatMap({ units[$0] }), let number = Int64(text.dropLast()), number >= 0,
            case let (seconds, overflow) = number.multipliedReportingOverflow(by: unit), !overflow,
            range.contains(seconds)
        else {
            throw ConfigurationError(
                key, "must be a duration such as 30s, 10m, 12h or 14d, from \(range.lowerBound)s to \(range.upperBound)s"
            )
        }
        return .seconds(seconds)
    }

    func list(_ key: ConfigurationKey, default value: [String] = []) throws -> [String] {
        guard let text = try text(key) else { return value }
        return text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    func choice(_ key: ConfigurationKey, default value: String, of choices: [String]) throws -> String {
        guard let text = try text(key) else { return value }
        guard let choice = choices.first(where: { $0.lowercased() == text.lowercased() }) else {
            throw ConfigurationError(key, "must be one of \(choices.joined(separator: ", "))")
        }
        return choice
    }

    /// An `http` or `https` origin without path, query or trailing slash. Plain http is for loopback alone: cookies
    /// and tokens would travel in the clear.
    func origin(_ key: ConfigurationKey, default value: String) throws -> String {
        guard let text = try text(key) else { return value }
        return try Self.origin(text, key, allowPlain: false)
    }

    static func origin(_ text: String, _ key: ConfigurationKey, allowPlain: Bool) throws -> String {
        let trimmed = text.hasSuffix("/") ? String(text.dropLast()) : text
        guard let url = URL(string: trimmed), let scheme = url.scheme, ["http", "https"].contains(scheme),
            let host = url.host(), !host.isEmpty, url.path.isEmpty, url.query == nil, url.fragment == nil, url.user == nil
        else { throw ConfigurationError(key, "must be an origin such as https://auth.example.com, without a path") }
        if scheme == "http", !allowPlain, !isLoopback(host) {
            throw ConfigurationError(key, "must be https, unless the host is a loopback one")
        }
        return trimmed
    }

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || host == "[::1]" || IPNetwork("127.0.0.0/8")?.contains(host) == true
    }

    private func distance(_ a: String, _ b: String) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var previous = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let cost = x == y ? previous : 1 + min(previous, row[j], row[j + 1])
                previous = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[b.count]
    }
}
