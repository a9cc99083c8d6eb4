// Most servers ignore a misspelled name, and a security setting is silently off. This one refuses to start and suggests
// the right name.

enum SettingNames {
    /// Each key, and for secrets the variable that names a file.
    private static let known = ConfigurationKey.all.flatMap { [$0.name, $0.fileVariable].compactMap(\.self) }

    /// Set by the test tools.
    private static let foreign = ["TESSERA_TEST_", "TESSERA_BINARY", "TESSERA_VENV"]

    /// - Throws: `ConfigurationError` for the first flag or `TESSERA_…` variable that is not a setting.
    static func refuseUnknown(flags: some Sequence<String>, environment: some Sequence<String>) throws {
        let ours = environment.filter { name in
            name.hasPrefix("TESSERA_") && !foreign.contains(where: name.hasPrefix)
        }
        for name in flags.sorted() + ours.sorted() where !known.contains(name) { throw refusal(of: name, known) }
    }

    /// - Throws: `ConfigurationError` for the first key that is not a setting.
    static func refuseUnknown(inFile names: [String]) throws {
        let keys = ConfigurationKey.all.map(\.fileKey)
        for name in names.sorted() where !keys.contains(name) { throw refusal(of: name, keys) }
    }

    private static func refusal(of name: String, _ known: [String]) -> ConfigurationError {
        let nearest = known.min { distance($0, name) < distance($1, name) }
        return ConfigurationError(key: name, "is not a setting\(nearest.map { "; did you mean \($0)?" } ?? "")")
    }

    /// Levenshtein's distance.
    static func distance(_ a: String, _ b: String) -> Int {
        var row = Array(0...b.count)
        for (i, x) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, y) in b.enumerated() {
                let cost = x == y ? diagonal : 1 + min(diagonal, row[j], row[j + 1])
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[b.count]
    }
}
