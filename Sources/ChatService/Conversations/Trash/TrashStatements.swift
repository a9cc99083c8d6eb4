// SQL of the trash.
//
// `deleted_at` puts a conversation into the trash. Version -1 beside it says that it has ended, version 0 that it is a fork
// or an import which is being copied: nothing but the statements that take it apart, or finish it, finds it. What has been there for
// longer than the trash keeps is neither listed nor brought back, whether the cleanup has come or not.
import Storage

enum TrashStatements {
    static let trash = Statement(
        "conversations.trash",
        .writes,
        [.text, .text, .integer, .instant],
        """
        UPDATE conversations SET deleted_at = $4, updated_at = $4, version = version + 1
        WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL AND ($3 IS NULL OR version = $3)
            AND \(Principals.mayWrite("$2"))
        RETURNING id
        """
    )

    private static let columns = ConversationStatements.summaryColumns + ", deleted_at"

    static let older = Statement(
        "trash.older",
        .reads,
        [.text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM conversations
        WHERE owner_id = $1 AND deleted_at IS NOT NULL AND version > 0 AND (deleted_at, id) < ($2, $3)
        ORDER BY deleted_at DESC, id DESC LIMIT $4
        """
    )

    static let newer = Statement(
        "trash.newer",
        .reads,
        [.text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM conversations
        WHERE owner_id = $1 AND deleted_at IS NOT NULL AND version > 0 AND (deleted_at, id) > ($2, $3)
        ORDER BY deleted_at, id LIMIT $4
        """
    )

    static let count = Statement(
        "trash.count",
        .reads,
        [.text, .instant],
        "SELECT COUNT(*) AS total FROM conversations WHERE owner_id = $1 AND deleted_at > $2 AND version > 0"
    )

    /// The version of a conversation, kept or in the trash since `$3`.
    static let version = Statement(
        "trash.version",
        .reads,
        [.text, .text, .instant],
        """
        SELECT version FROM conversations
        WHERE id = $1 AND owner_id = $2 AND version > 0 AND (deleted_at IS NULL OR deleted_at > $3)
        """
    )

    /// Brings a conversation back that has been in the trash since `$5`, with its slug if nobody has that by now.
    static let restore = Statement(
        "trash.restore",
        .writes,
        [.text, .text, .integer, .instant, .instant],
        """
        UPDATE conversations SET
            deleted_at = NULL,
            slug = CASE WHEN slug IS NULL OR EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = $2 AND o.slug = conversations.slug AND o.deleted_at IS NULL
            ) THEN NULL ELSE slug END,
            updated_at = $4,
            version = version + 1
        WHERE id = $1 AND owner_id = $2 AND deleted_at > $5 AND version > 0 AND ($3 IS NULL OR version = $3)
            AND \(Principals.mayWrite("$2"))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Moves up to `$4` of an owner's to the trash, those that were there at `$3`.
    static let trashSome = Statement(
        "trash.trash_some",
        .writes,
        [.text, .instant, .instant, .integer],
        """
        UPDATE conversations SET deleted_at = $2, updated_at = $2, version = version + 1
        WHERE owner_id = $1 AND deleted_at IS NULL AND \(Principals.mayWrite("$1")) AND id IN (
            SELECT o.id FROM conversations o
            WHERE o.owner_id = $1 AND o.deleted_at IS NULL AND o.created_at <= $3
            ORDER BY o.updated_at, o.id LIMIT $4
        )
        """
    )

    /// Ends a conversation, kept or in the trash, for good.
    static let end = Statement(
        "trash.end",
        .writes,
        [.text, .text, .integer, .instant],
        """
        UPDATE conversations SET deleted_at = $4, version = -1
        WHERE id = $1 AND owner_id = $2 AND version > 0 AND ($3 IS NULL OR version = $3)
            AND \(Principals.mayWrite("$2"))
        RETURNING id
        """
    )

    /// Ends up to `$3` of what an owner has had in the trash since `$2`.
    static let endSome = Statement(
        "trash.end_some",
        .writes,
        [.text, .instant, .integer],
        """
        UPDATE conversations SET version = -1
        WHERE owner_id = $1 AND deleted_at <= $2 AND version > 0 AND id IN (
            SELECT o.id FROM conversations o
            WHERE o.owner_id = $1 AND o.deleted_at <= $2 AND o.version > 0
            ORDER BY o.deleted_at, o.id LIMIT $3
        )
        """
    )

    /// Up to `$3` messages of one that ended.
    static let removeMessages = Statement(
        "trash.remove_messages",
        .writes,
        [.text, .text, .integer]
    ) { engine in
        let ended = """
            SELECT c.id FROM conversations c
            WHERE c.id = $1 AND c.owner_id = $2 AND c.version < 0 AND c.deleted_at IS NOT NULL
            """
        let rows = MessageBatch.rows(engine, of: ended, atMost: "$3")
        return "DELETE FROM messages WHERE id IN (\(rows) SELECT batch.id FROM batch)"
    }

    /// One that ended and has no message left.
    static let remove = Statement(
        "trash.remove",
        .writes,
        [.text, .text],
        """
        DELETE FROM conversations
        WHERE id = $1 AND owner_id = $2 AND version < 0 AND deleted_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = $1)
        RETURNING id
        """
    )

    /// Up to `$3` messages of whatever of an owner's ended before `$2`.
    static let removeSomeMessages = Statement(
        "trash.remove_some_messages",
        .writes,
        [.text, .instant, .integer]
    ) { engine in
        let ended = """
            SELECT c.id FROM conversations c
            WHERE c.version <= 0 AND c.deleted_at <= $2 AND c.owner_id = $1
                AND EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id)
            LIMIT 100
            """
        let rows = MessageBatch.rows(engine, of: ended, atMost: "$3")
        return "DELETE FROM messages WHERE id IN (\(rows) SELECT batch.id FROM batch)"
    }

    /// Up to `$3` of an owner's that ended before `$2` and have no message left.
    static let removeSome = Statement(
        "trash.remove_some",
        .writes,
        [.text, .instant, .integer],
        """
        DELETE FROM conversations WHERE id IN (
            SELECT c.id FROM conversations c
            WHERE c.version <= 0 AND c.deleted_at <= $2 AND c.owner_id = $1
                AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = c.id)
            LIMIT $3
        )
        """
    )

    /// Owners of what has been in the trash since `$1`, an owner as often as there are rows.
    static let ownersOfExpired = Statement(
        "trash.owners_of_expired",
        .reads,
        [.instant, .integer],
        """
        SELECT owner_id FROM conversations
        WHERE deleted_at IS NOT NULL AND deleted_at <= $1 AND version > 0 ORDER BY deleted_at LIMIT $2
        """
    )

    /// Owners of what ended, or was never finished, before `$1`, likewise.
    static let ownersOfEnded = Statement(
        "trash.owners_of_ended",
        .reads,
        [.instant, .integer],
        "SELECT owner_id FROM conversations WHERE version <= 0 AND deleted_at <= $1 ORDER BY deleted_at LIMIT $2"
    )

    static let all = [
        trash, older, newer, count, version, restore, trashSome, end, endSome, removeMessages, remove,
        removeSomeMessages, removeSome, ownersOfExpired, ownersOfEnded,
    ]
}
