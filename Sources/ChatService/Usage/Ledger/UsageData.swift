// Usage in erasures and exports.
import Storage

enum UsageData {
    static let erasure = [
        ErasureStep(
            "usage_events",
            keys: { owner in
                """
                SELECT id FROM usage_events
                WHERE \(OnePlan.group("user_id", is: owner)) ORDER BY user_id, created_at
                """
            },
            delete: { "DELETE FROM usage_events WHERE \(OnePlan.among("id", $0, $1))" }
        ),
        ErasureStep(
            "usage_totals",
            keys: { owner in
                """
                SELECT user_id, day, model FROM usage_totals
                WHERE \(OnePlan.group("user_id", is: owner)) ORDER BY user_id, day, model
                """
            },
            delete: { keys, engine in
                let isAmong = OnePlan.amongFew("user_id, day, model", foundBy: ["user_id"], engine)
                return "\(OnePlan.few(keys)) DELETE FROM usage_totals WHERE \(isAmong)"
            }
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
            of: "user_id",
            key: ["day", "model"],
            insert: """
                INSERT INTO usage_totals (\(total.columnList))
                SELECT \(total.parameterList)
                WHERE \(Principals.mayWrite(principal: ":owner")) AND :user_id = :owner
                ON CONFLICT DO NOTHING
                """
        )
    ]
}
