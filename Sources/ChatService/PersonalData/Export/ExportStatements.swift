// SQL of exports and imports of conversations and messages.
//
// An import makes a conversation **out of sight**: version 0 and in the trash, without a number, until its messages are
// all there, and their votes and tags. One statement then checks the whole and brings it to light. So at no commit is there a conversation that
// anybody could see with a number missing, and a half that a crash left is completed by the same import run again.
import Storage

enum ExportStatements {
    static let principal = Statement(
        "export.principal",
        .reads,
        [.text],
        "SELECT \(ExportedEntity.principal.columnList), is_active, erased_at FROM principals WHERE id = $1"
    )

    /// Trash included; what an import has not finished is not there. At most `$3` of them, and none after `$4` characters.
    static let conversations = Statement(
        "export.conversations",
        .reads,
        [.text, .text, .integer, .integer],
        """
        SELECT \(ExportedEntity.conversation.columnList) FROM conversations
        WHERE owner_id = $1 AND id > $2 AND version > 0 AND id <= (
                SELECT MAX(id) FROM (
                    SELECT id, SUM(size) OVER (ORDER BY id) - size AS read_before FROM (
                        SELECT id, LENGTH(settings) + LENGTH(metadata) AS size FROM conversations
                        WHERE owner_id = $1 AND id > $2 AND version > 0
                        ORDER BY id LIMIT $3
                    ) AS few
                ) AS summed WHERE read_before <= $4
            )
        ORDER BY id
        """
    )

    /// Messages after `$3` and up to `$4`, at most `$6` of them and as many as `$5` characters allow; none
    /// where the first is larger than that.
    static let messages = Statement(
        "export.messages",
        .reads,
        [.text, .text, .integer, .integer, .integer, .integer],
        """
        SELECT \(ExportedEntity.message.columnList) FROM messages
        WHERE conversation_id = $1 AND seq > $3 AND seq <= (
                SELECT MAX(seq) FROM (
                    SELECT seq, SUM(size) OVER (ORDER BY seq) AS total FROM (
                        SELECT seq, LENGTH(parts) + LENGTH(metadata) + COALESCE(LENGTH(content_text), 0) AS size
                        FROM messages
                        WHERE conversation_id = $1 AND seq > $3 AND seq <= $4
                        ORDER BY seq LIMIT $6
                    ) AS few
                ) AS summed WHERE total <= $5
            )
            AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = $1 AND c.owner_id = $2)
        ORDER BY seq
        """
    )

    // MARK: Import

    /// `$n` of a column of the entity.
    private static func parameter(_ entity: ExportedEntity, _ column: String) -> String {
        "$\((entity.columns.firstIndex { $0.name == column } ?? entity.columns.count) + 1)"
    }

    /// The columns' values, then the moment and the words of the title. Whose it is, is in the values.
    static let insertConversation: Statement = {
        let entity = ExportedEntity.conversation
        let now = "$\(entity.columns.count + 1)"
        // Every parameter is named, for its type is declared; the finishing statement sets what is not as exported.
        let fresh = ["last_seq": "0", "message_count": "0", "version": "0", "deleted_at": now]
        let values = entity.columns.map { column in
            let parameter = parameter(entity, column.name)
            return fresh[column.name].map { "CASE WHEN \(parameter) IS NULL THEN \($0) ELSE \($0) END" } ?? parameter
        }
        return Statement(
            "import.conversation",
            .writes,
            entity.columns.map(\.type) + [.instant, .words],
            """
            INSERT INTO conversations (\(entity.columnList), search)
            SELECT \(values.joined(separator: ", ")), $\(entity.columns.count + 2)
            WHERE \(PrincipalStatements.mayWrite(parameter(entity, "owner_id")))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    /// Of a conversation that an import has not finished.
    static func isHidden(_ alias: String) -> String {
        "\(alias).version = 0 AND \(alias).deleted_at IS NOT NULL"
    }

    /// The columns' values, then the owner and the words; nothing unless the conversation is the owner's and still out of sight.
    static let insertMessage: Statement = {
        let entity = ExportedEntity.message
        let owner = "$\(entity.columns.count + 1)"
        return Statement(
            "import.message",
            .writes,
            entity.columns.map(\.type) + [.text, .words],
            """
            INSERT INTO messages (\(entity.columnList), search)
            SELECT \(entity.columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")), $\(entity.columns.count + 2)
            FROM conversations c
            WHERE c.id = \(parameter(entity, "conversation_id")) AND c.owner_id = \(owner) AND \(isHidden("c"))
                AND \(PrincipalStatements.mayWrite(owner))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    /// Brings a whole conversation to light: a row for each of 1…`$3`, parents and head in it. A slug that another one
    /// of the owner's has by now is left out; whether there are tags is looked up, for an export is no snapshot.
    static let finishConversation = Statement(
        "import.finish_conversation",
        .writes,
        [.text, .text, .integer, .integer, .instant],
        """
        UPDATE conversations SET version = $4, deleted_at = $5, last_seq = $3,
            message_count = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = $1 AND m.deleted_at IS NULL),
            has_tags = has_tags OR EXISTS (SELECT 1 FROM conversation_tags t WHERE t.conversation_id = $1),
            slug = CASE WHEN $5 IS NULL AND EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = $2 AND o.slug = conversations.slug AND o.id <> $1 AND o.deleted_at IS NULL
            ) THEN NULL ELSE slug END
        WHERE id = $1 AND owner_id = $2 AND \(isHidden("conversations")) AND $4 > 0
            AND \(PrincipalStatements.mayWrite("$2"))
            AND $3 = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = $1 AND m.seq >= 1 AND m.seq <= $3)
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = $1 AND (m.seq < 1 OR m.seq > $3))
            AND NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = $1 AND m.parent_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM messages p WHERE p.id = m.parent_id AND p.conversation_id = $1
                )
            )
            AND (head_message_id IS NULL OR EXISTS (
                SELECT 1 FROM messages h WHERE h.id = conversations.head_message_id AND h.conversation_id = $1
            ))
        RETURNING id
        """
    )

    static let conversationState = Statement(
        "import.conversation_state",
        .reads,
        [.text],
        "SELECT owner_id, version FROM conversations WHERE id = $1"
    )

    /// Ends what could not be finished, for `Trash.takeApart`, or for the cleanup where that does not come to its end.
    static let abandonConversation = Statement(
        "import.abandon_conversation",
        .writes,
        [.text, .text, .instant],
        """
        UPDATE conversations SET version = -1, deleted_at = $3
        WHERE id = $1 AND owner_id = $2 AND \(isHidden("conversations"))
        """
    )

    /// What a move brings along of the person; what auth has told here stays.
    static let mergePrincipal = Statement(
        "import.principal",
        .writes,
        [.text, .text, .text, .integer, .instant],
        """
        UPDATE principals SET
            display_name = COALESCE(display_name, $2),
            avatar_url = COALESCE(avatar_url, $3),
            tokens_total = CASE WHEN tokens_total < $4 THEN $4 ELSE tokens_total END,
            first_seen_at = CASE WHEN first_seen_at > $5 THEN $5 ELSE first_seen_at END
        WHERE id = $1 AND is_active AND erased_at IS NULL
        """
    )

    static let all =
        [
            principal, conversations, messages, insertConversation, insertMessage, finishConversation,
            conversationState, abandonConversation, mergePrincipal,
        ] + FlatEntity.statements
}
