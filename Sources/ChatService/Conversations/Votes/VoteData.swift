// Votes in erasures and exports.
import Storage

enum VoteData {
    // Before messages, from which votes would cascade, any number of them in one statement.
    static let erasure = [
        ErasureStep(
            "votes",
            keys: { owner in
                """
                SELECT message_id, user_id FROM votes
                WHERE \(OnePlan.group("user_id", is: owner)) ORDER BY user_id, message_id
                """
            },
            delete: { keys, engine in
                let isAmong = OnePlan.amongFew("message_id, user_id", foundBy: ["message_id"], engine)
                return "\(OnePlan.few(keys)) DELETE FROM votes WHERE \(isAmong)"
            }
        )
    ]

    private static let vote = ExportedEntity(
        name: "vote",
        columns: [
            ExportedColumn("message_id", .id), ExportedColumn("user_id", .person),
            ExportedColumn("conversation_id", .id), ExportedColumn("value", .integer(-1...1)),
            ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
        ]
    )

    static let export = [
        FlatExport(
            vote,
            table: "votes",
            of: "user_id",
            key: ["message_id"],
            insert: """
                INSERT INTO votes (\(vote.columnList))
                SELECT \(vote.parameterList)
                WHERE \(Principals.mayWrite(principal: ":owner")) AND :user_id = :owner
                    AND \(ConversationImport.isImporting)
                    AND EXISTS (
                        SELECT 1 FROM messages m
                        WHERE m.id = :message_id AND \(OnePlan.check("m.conversation_id = :conversation_id"))
                    )
                ON CONFLICT DO NOTHING
                """
        )
    ]
}
