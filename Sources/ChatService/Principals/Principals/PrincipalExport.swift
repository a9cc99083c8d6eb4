// A person's row in exports and imports.
import Storage

enum PrincipalExport {
    private static let sums = ExportedColumn.Bounds.sums.upperBound

    // A sum that an earlier correction left below zero counts as zero: an import keeps the greater of two.
    static let principal = ExportedEntity(
        name: "principal",
        columns: [
            ExportedColumn("id", .person), ExportedColumn("kind", .text), ExportedColumn("display_name", .text),
            ExportedColumn("avatar_url", .text), ExportedColumn("tokens_total", .integer(-sums...sums)),
            ExportedColumn("first_seen_at", .instant), ExportedColumn("last_seen_at", .instant),
        ]
    )

    private static let read = Statement(
        "export.principal",
        .reads,
        ["principal": .text],
        "SELECT \(principal.columnList), is_active, erased_at FROM principals WHERE id = :principal"
    )

    /// Reads the row, and whether its person is refused.
    static func read(id: String) -> BoundStatement { read.bind(["principal": id]) }

    private static let merge = Statement(
        "import.principal",
        .writes,
        ["id": .text, "name": .text, "avatar": .text, "tokens": .integer, "first_seen": .instant],
        """
        UPDATE principals SET
            display_name = COALESCE(display_name, :name),
            avatar_url = COALESCE(avatar_url, :avatar),
            tokens_total = CASE WHEN tokens_total < :tokens THEN :tokens ELSE tokens_total END,
            first_seen_at = CASE WHEN first_seen_at > :first_seen THEN :first_seen ELSE first_seen_at END
        WHERE id = :id AND is_active AND erased_at IS NULL
        """
    )

    /// Adds the export's values of the person; auth's values here stay.
    static func merge(row: [String: SQLValue], into id: String) -> BoundStatement {
        merge.bind([
            "id": id, "name": row["display_name"] ?? .null, "avatar": row["avatar_url"] ?? .null,
            "tokens": row["tokens_total"] ?? .null, "first_seen": row["first_seen_at"] ?? .null,
        ])
    }

    static let all = [read, merge]
}
