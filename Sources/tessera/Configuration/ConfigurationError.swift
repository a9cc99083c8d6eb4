/// A setting with which no server may start.
///
/// SECURITY: it names the key and the expectation, never the value, which may be a secret in the wrong place.
struct ConfigurationError: Error, CustomStringConvertible {
    /// The key's name as given, or the flag's.
    let key: String
    let expectation: String

    init(_ key: ConfigurationKey, _ expectation: String? = nil) {
        self.init(key: key.name, expectation ?? key.kind.expectation)
    }

    init(key: String, _ expectation: String) {
        self.key = key
        self.expectation = expectation
    }

    var description: String { "\(key) \(expectation)" }
}
