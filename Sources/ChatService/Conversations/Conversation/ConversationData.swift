// Conversations and their messages in erasures.
import Storage

enum ConversationData {
    // Messages before their conversation, which would cascade to any number of them. Both select from the first
    // conversations only, and an empty one is removed before the next look, so nothing is scanned twice.
    static let erasure = [
        ErasureStep(
            inTurns: ErasureStep(
                "messages",
                measuring: { owner, engine in
                    let first = "\(owned(by: owner)) LIMIT 20"
                    return "\(MessageBatch.rows(engine, of: first)) SELECT batch.id FROM batch ORDER BY batch.number"
                },
                delete: { "DELETE FROM messages WHERE \(OnePlan.among("id", $0, $1))" }
            ),
            ErasureStep(
                "conversations",
                keys: { owner in
                    """
                    SELECT first.id FROM (\(owned(by: owner)) LIMIT 500) AS first
                    WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = first.id LIMIT 1 OFFSET 0)
                    """
                },
                delete: { "DELETE FROM conversations WHERE \(OnePlan.among("id", $0, $1))" }
            )
        )
    ]

    private static func owned(by owner: String) -> String {
        "SELECT c.id FROM conversations c WHERE \(OnePlan.group("c.owner_id", is: owner)) ORDER BY c.owner_id, c.id"
    }
}
