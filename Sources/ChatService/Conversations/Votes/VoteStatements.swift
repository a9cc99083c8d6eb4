// SQL of votes.
import Storage

enum VoteStatements {
    static let columns = "v.conversation_id, v.message_id, v.user_id, v.value, v.created_at, v.updated_at"

    // Of the caller's own conversation, and not deleted.
    private static let message = """
        messages m JOIN conversations c ON c.id = m.conversation_id
        WHERE m.id = $2 AND c.id = $1 AND c.owner_id = $3 AND c.deleted_at IS NULL AND m.deleted_at IS NULL
        """

    static let set = Statement(
        "votes.set",
        .writes,
        [.text, .text, .text, .integer, .instant],
        """
        INSERT INTO votes (message_id, user_id, conversation_id, value, created_at, updated_at)
        SELECT m.id, $3, c.id, $4, $5, $5 FROM \(message) AND \(Principals.mayWrite("$3"))
        ON CONFLICT (message_id, user_id) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
        RETURNING conversation_id, message_id, user_id, value, created_at, updated_at
        """
    )

    static let remove = Statement(
        "votes.remove",
        .writes,
        [.text, .text, .text],
        """
        DELETE FROM votes
        WHERE message_id = $2 AND user_id = $3 AND conversation_id = $1
            AND EXISTS (SELECT 1 FROM \(message)) AND \(Principals.mayWrite("$3"))
        """
    )

    static let isOpen = Statement(
        "votes.is_open",
        .reads,
        [.text, .text, .text],
        "SELECT m.id FROM \(message)"
    )

    private static let own = """
        votes v JOIN conversations c ON c.id = v.conversation_id JOIN messages m ON m.id = v.message_id
        WHERE v.conversation_id = $1 AND v.user_id = $2 AND c.owner_id = $2 AND c.deleted_at IS NULL
            AND m.deleted_at IS NULL
        """

    static let later = Statement(
        "votes.later",
        .reads,
        [.text, .text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM \(own) AND (v.created_at, v.message_id) > ($3, $4)
        ORDER BY v.created_at, v.message_id LIMIT $5
        """
    )

    static let earlier = Statement(
        "votes.earlier",
        .reads,
        [.text, .text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM \(own) AND (v.created_at, v.message_id) < ($3, $4)
        ORDER BY v.created_at DESC, v.message_id DESC LIMIT $5
        """
    )

    static let count = Statement(
        "votes.count",
        .reads,
        [.text, .text],
        "SELECT COUNT(*) AS total FROM \(own)"
    )

    /// The votes on the newest `$3` messages.
    static let newest = Statement(
        "votes.newest",
        .reads,
        [.text, .text, .integer],
        """
        SELECT \(columns) FROM \(own) AND v.message_id IN (
            SELECT id FROM messages WHERE conversation_id = $1 AND deleted_at IS NULL
            ORDER BY \(MessagePages.liveSequence) DESC LIMIT $3
        )
        ORDER BY v.created_at, v.message_id
        """
    )

    static let all = [set, remove, isOpen, later, earlier, count, newest]
}
