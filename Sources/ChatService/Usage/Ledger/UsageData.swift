// Usage in erasures and exports.
import Storage

enum UsageData {
    static let erasure = [
        ErasureStep(
            "usage_events",
            keys: { owner in "SELECT id FROM usage_events WHERE user_id = \(owner) ORDER BY created_at" },
            delete: { "DELETE FROM usage_events WHERE id IN (\($0))" }
        ),
        ErasureStep(
            "usage_totals",
            keys: { owner in "SELECT user_id, day, model FROM usage_totals WHERE user_id = \(owner) ORDER BY day" },
            delete: { "DELETE FROM usage_totals WHERE (user_id, day, model) IN (\($0))" }
        ),
    ]

    private static let total = ExportedEntity(
        name: "usage_total",
        columns: [
            ExportedColumn("user_id", .person), ExportedColumn("day", .day), ExportedColumn("model", .text),
            ExportedColumn("messages", .usage), ExportedColumn("tokens_in", .usage),
            ExportedColumn("tokens_out", .usage), ExportedColumn("tokens_total", .usage),
        ]
    )

    // The sums without their ledger: earlier use elsewhere is reported, and not billed again.
    static let export = [
        FlatExport(
            total,
            table: "usage_totals",
            key: ["day", "model"],
            from: "usage_totals WHERE user_id = :owner",
            insert: """
                INSERT INTO usage_totals (\(total.columnList))
                SELECT \(total.parameterList)
                WHERE \(Principals.mayWrite(principal: ":owner")) AND :user_id = :owner
                ON CONFLICT DO NOTHING
                """
        )
    ]
}
