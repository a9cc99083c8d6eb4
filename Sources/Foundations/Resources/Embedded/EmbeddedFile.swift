// The executable and the tests read the embedded files. Services do not: they receive their migrations and their
// contract.
internal import CEmbedded

package struct EmbeddedFile: Sendable {
    /// The path in the repository, such as `migrations/auth_0001_init.sql`.
    package let path: String
    package let text: String

    package static let all: [EmbeddedFile] = (0..<tessera_embedded_file_count()).map { index in
        // SAFETY: the pointers lead to constants of the C target, which live as long as the process.
        let file = unsafe tessera_embedded_file_at(index)
        let bytes = unsafe UnsafeBufferPointer(start: file.bytes, count: file.count)
        return unsafe EmbeddedFile(path: String(cString: file.path), text: String(decoding: bytes, as: UTF8.self))
    }

    package static func all(under prefix: String) -> [EmbeddedFile] {
        all.filter { $0.path.hasPrefix(prefix) }
    }
}

package enum BuildInfo {
    /// `unknown` in a binary that `make release` did not finish or that was built outside of git.
    package static var commit: String {
        // SAFETY: a constant of the C target, with a terminating zero.
        unsafe String(cString: tessera_commit())
    }
}
