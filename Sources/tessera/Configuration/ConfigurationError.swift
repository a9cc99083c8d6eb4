// Why a process did not start.

/// A setting that no server may start with.
///
/// SECURITY: names the key and what is expected of it, never the value: it may be a secret in the wrong place.
struct ConfigurationError: Error, CustomStringConvertible {
    /// The name of the key as it was given, or of the flag.
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
