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
                    let first = "SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT 20"
                    return "\(MessageBatch.rows(engine, of: first)) SELECT batch.id FROM batch ORDER BY batch.number"
                },
                delete: { "DELETE FROM messages WHERE id IN (\($0))" }
            ),
            ErasureStep(
                "conversations",
                keys: { owner in
                    """
                    SELECT first.id FROM (
                        SELECT c.id FROM conversations c WHERE c.owner_id = \(owner) ORDER BY c.id LIMIT 500
                    ) AS first
                    WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = first.id)
                    """
                },
                delete: { "DELETE FROM conversations WHERE id IN (\($0))" }
            )
        )
    ]
}
