// Votes in erasures and exports.
import Storage

enum VoteData {
    // Before messages, from which votes would cascade, any number of them in one statement.
    static let erasure = [
        ErasureStep(
            "votes",
            keys: { owner in "SELECT message_id, user_id FROM votes WHERE user_id = \(owner) ORDER BY user_id" },
            delete: { "DELETE FROM votes WHERE (message_id, user_id) IN (\($0))" }
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
            key: ["message_id"],
            from: "votes WHERE user_id = :owner",
            insert: """
                INSERT INTO votes (\(vote.columnList))
                SELECT \(vote.parameterList)
                WHERE \(Principals.mayWrite(principal: ":owner")) AND :user_id = :owner
                    AND \(ConversationImport.isImporting)
                    AND EXISTS (
                        SELECT 1 FROM messages m WHERE m.id = :message_id AND m.conversation_id = :conversation_id
                    )
                ON CONFLICT DO NOTHING
                """
        )
    ]
}
