// What an erase has to do about the index, after the rows are gone.
//
// PostgreSQL removes the entries of dead rows when it vacuums them, like the rows themselves. FTS5 writes a deletion
// beside the entry and drops both when the segments that hold them are merged, which may be never: so all segments are
// merged into one, in steps that each leave room for other writers (sqlite.org/fts5.html, "The 'merge' Command").
// Free pages keep their bytes unless `PRAGMA secure_delete` is on.
package import Storage

package enum SearchPurge {
    /// Pages that one step merges.
    private static let step = 500

    /// Leaves no word in the index that no row has. Begun again after it could not go on, it goes on where it was.
    ///
    /// - Returns: whether it came to the end.
    @discardableResult
    package static func run(
        on database: any SQLDatabase,
        while mayGoOn: @Sendable () async throws -> Bool = { true }
    ) async throws -> Bool {
        guard database.engine == .sqlite else { return true }
        for (pages, merge) in [(messagePages, mergeMessages), (titlePages, mergeTitles)] {
            let size = try await database.run(pages()).first?.int("pages") ?? 0
            // The first, negative, makes all segments one another's neighbours; further steps do the work.
            _ = try await database.run([merge(-step)], priority: .long)
            for _ in 0...(size / step + 1) {
                guard try await mayGoOn() else { return false }
                _ = try await database.run([merge(step)], priority: .long)
            }
        }
        return true
    }

    private static func merge(_ name: String, _ table: String) -> Statement {
        Statement(
            name,
            .writes,
            [.integer],
            postgres: "SELECT $1::bigint AS nothing_to_do",
            sqlite: "INSERT INTO \(table) (\(table), rank) VALUES ('merge', $1)"
        )
    }

    private static func pages(_ name: String, _ table: String) -> Statement {
        Statement(
            name,
            .reads,
            [],
            postgres: "SELECT 0::bigint AS pages",
            sqlite: "SELECT COUNT(*) AS pages FROM \(table)_data"
        )
    }

    static let mergeMessages = merge("search.merge_messages", "search_messages")
    static let mergeTitles = merge("search.merge_titles", "search_titles")
    static let messagePages = pages("search.message_pages", "search_messages")
    static let titlePages = pages("search.title_pages", "search_titles")
    static let all = [mergeMessages, mergeTitles, messagePages, titlePages]
}
