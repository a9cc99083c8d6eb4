// What the C target embeds, as Swift values. A target of its own because the executable and the tests both read
// it, and no service may: services are handed their migrations and their contract.
internal import CEmbedded

/// A file of the repository, as it was when the binary was built.
package struct EmbeddedFile: Sendable {
    /// The path in the repository, for example `migrations/auth_0001_init.sql`.
    package let path: String
    package let text: String

    /// Every embedded file, in the registry's order.
    package static let all: [EmbeddedFile] = (0..<tessera_embedded_file_count()).map { index in
        // SAFETY: the pointers lead to constants of the C target, which live as long as the process.
        let file = unsafe tessera_embedded_file_at(index)
        let bytes = unsafe UnsafeBufferPointer(start: file.bytes, count: file.count)
        return unsafe EmbeddedFile(path: String(cString: file.path), text: String(decoding: bytes, as: UTF8.self))
    }

    /// The files whose path starts with `prefix`.
    package static func all(under prefix: String) -> [EmbeddedFile] {
        all.filter { $0.path.hasPrefix(prefix) }
    }
}

/// What the binary knows of its build.
package enum BuildInfo {
    /// The commit; `unknown` in a binary that `make release` has not finished or that was built outside of git.
    package static var commit: String {
        // SAFETY: a constant of the C target, with zeros behind the text.
        unsafe String(cString: tessera_commit())
    }
}
