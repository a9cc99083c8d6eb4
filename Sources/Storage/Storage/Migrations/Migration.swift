// One migration as it is written in `migrations/`.
//
// Sections are as in dbmate: `-- migrate:up`, `-- migrate:down`, and `-- migrate:up transaction:false` where an index
// is built concurrently. A file `auth_0002_x.postgres.sql` replaces `auth_0002_x.sql` on that engine.

/// A numbered change of one service's schema.
package struct Migration: Sendable, Hashable {
    /// `auth` or `chat`.
    package let service: String
    package let number: Int
    /// The file's name without engine and ending, for example `auth_0001_init`.
    package let name: String
    /// `nil` for both engines.
    package let engine: SQLEngine?
    /// The whole file, which the checksum covers.
    package let source: String

    /// Reads `auth_0001_init.sql` or `auth_0001_init.postgres.sql`; throws for a name of another form.
    package init(fileName: String, source: String) throws(StorageError) {
        var parts = fileName.split(separator: ".").map(String.init)
        guard parts.count >= 2, parts.removeLast() == "sql" else {
            throw .schema(reason: "\(fileName) is not a migration")
        }
        if parts.count == 2 {
            guard let engine = SQLEngine(rawValue: parts[1]) else {
                throw .schema(reason: "\(fileName) names no engine")
            }
            self.engine = engine
        } else {
            self.engine = nil
        }
        let words = parts[0].split(separator: "_", maxSplits: 2)
        guard words.count == 3, words[1].count == 4, let number = Int(words[1]), number > 0 else {
            throw .schema(reason: "\(fileName) is not named service_0001_what.sql")
        }
        self.service = String(words[0])
        self.number = number
        self.name = parts[0]
        self.source = source
    }
}
