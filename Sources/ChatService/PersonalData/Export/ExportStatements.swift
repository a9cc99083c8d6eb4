// SQL of exports and imports of conversations and messages.
//
// An import makes a conversation **invisible**: version 0 and in the trash, until its messages, votes and tags are all
// there. One statement then checks the whole and makes it visible. So no commit shows a conversation with a missing
// number, and the same import completes what a crash left.
import Storage

enum ExportStatements {
    private static let principal = Statement(
        "export.principal",
        .reads,
        ["principal": .text],
        "SELECT \(ExportedEntity.principal.columnList), is_active, erased_at FROM principals WHERE id = :principal"
    )

    static func principal(id: String) -> BoundStatement { principal.bind(["principal": id]) }

    private static let conversations = Statement(
        "export.conversations",
        .reads,
        ["owner": .text, "after": .text, "limit": .integer, "size": .integer],
        """
        SELECT \(ExportedEntity.conversation.columnList) FROM conversations
        WHERE owner_id = :owner AND id > :after AND version > 0 AND id <= (
                SELECT MAX(id) FROM (
                    SELECT id, SUM(size) OVER (ORDER BY id) - size AS read_before FROM (
                        SELECT id, LENGTH(settings) + LENGTH(metadata) AS size FROM conversations
                        WHERE owner_id = :owner AND id > :after AND version > 0
                        ORDER BY id LIMIT :limit
                    ) AS few
                ) AS summed WHERE read_before <= :size
            )
        ORDER BY id
        """
    )

    /// Conversations after an id, with the trash and without unfinished imports: at most `limit`, and `size`
    /// characters.
    static func conversations(of owner: String, after id: String, limit: Int64, size: Int64) -> BoundStatement {
        conversations.bind(["owner": owner, "after": id, "limit": limit, "size": size])
    }

    private static let messages = Statement(
        "export.messages",
        .reads,
        [
            "conversation": .text, "owner": .text, "after": .integer, "last": .integer, "size": .integer,
            "limit": .integer,
        ],
        """
        SELECT \(ExportedEntity.message.columnList) FROM messages
        WHERE conversation_id = :conversation AND seq > :after AND seq <= (
                SELECT MAX(seq) FROM (
                    SELECT seq, SUM(size) OVER (ORDER BY seq) AS total FROM (
                        SELECT seq, LENGTH(parts) + LENGTH(metadata) + COALESCE(LENGTH(content_text), 0) AS size
                        FROM messages
                        WHERE conversation_id = :conversation AND seq > :after AND seq <= :last
                        ORDER BY seq LIMIT :limit
                    ) AS few
                ) AS summed WHERE total <= :size
            )
            AND EXISTS (SELECT 1 FROM conversations c WHERE c.id = :conversation AND c.owner_id = :owner)
        ORDER BY seq
        """
    )

    /// Messages after a number and up to `last`: at most `limit` of them, and `size` characters; none if the first is
    /// larger.
    static func messages(
        of conversation: String,
        owner: String,
        after seq: Int64,
        upTo last: Int64,
        size: Int64,
        limit: Int64
    ) -> BoundStatement {
        messages.bind([
            "conversation": conversation, "owner": owner, "after": seq, "last": last, "size": size, "limit": limit,
        ])
    }

    // Each column is a parameter of its name.
    private static let insertConversation: Statement = {
        let entity = ExportedEntity.conversation
        // Every parameter must occur in the text, because its type is declared. The finishing statement sets the
        // columns that differ from the export.
        let fresh = ["last_seq": "0", "message_count": "0", "version": "0", "deleted_at": ":hidden_until"]
        let values = entity.columns.map { column in
            let parameter = ":\(column.name)"
            return fresh[column.name].map { "CASE WHEN \(parameter) IS NULL THEN \($0) ELSE \($0) END" } ?? parameter
        }
        return Statement(
            "import.conversation",
            .writes,
            entity.parameters + ["hidden_until": .instant, "words": .words],
            """
            INSERT INTO conversations (\(entity.columnList), search)
            SELECT \(values.joined(separator: ", ")), :words
            WHERE \(Principals.mayWrite(":owner_id"))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    static func insertConversation(_ row: [String: SQLValue], words: SQLValue, hiddenUntil: Instant) -> BoundStatement {
        insertConversation.bind(
            ExportedEntity.conversation.values(of: row) + ["hidden_until": hiddenUntil, "words": words]
        )
    }

    /// Of an unfinished import.
    static func isHidden(_ alias: String) -> String {
        "\(alias).version = 0 AND \(alias).deleted_at IS NOT NULL"
    }

    private static let insertMessage: Statement = {
        let entity = ExportedEntity.message
        return Statement(
            "import.message",
            .writes,
            entity.parameters + ["owner": .text, "words": .words],
            """
            INSERT INTO messages (\(entity.columnList), search)
            SELECT \(entity.parameterList), :words
            FROM conversations c
            WHERE c.id = :conversation_id AND c.owner_id = :owner AND \(isHidden("c"))
                AND \(Principals.mayWrite(":owner"))
            ON CONFLICT DO NOTHING
            """
        )
    }()

    /// Inserts a message while its conversation is the owner's and invisible.
    static func insertMessage(_ row: [String: SQLValue], owner: String, words: SQLValue) -> BoundStatement {
        insertMessage.bind(ExportedEntity.message.values(of: row) + ["owner": owner, "words": words])
    }

    private static let finishConversation = Statement(
        "import.finish_conversation",
        .writes,
        ["id": .text, "owner": .text, "last": .integer, "version": .integer, "deleted_at": .instant],
        """
        UPDATE conversations SET version = :version, deleted_at = :deleted_at, last_seq = :last,
            message_count = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = :id AND m.deleted_at IS NULL),
            has_tags = has_tags OR EXISTS (SELECT 1 FROM conversation_tags t WHERE t.conversation_id = :id),
            slug = CASE WHEN :deleted_at IS NULL AND EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = :owner AND o.slug = conversations.slug AND o.id <> :id AND o.deleted_at IS NULL
            ) THEN NULL ELSE slug END
        WHERE id = :id AND owner_id = :owner AND \(isHidden("conversations")) AND :version > 0
            AND \(Principals.mayWrite(":owner"))
            AND :last = (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = :id AND m.seq >= 1 AND m.seq <= :last)
            AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.conversation_id = :id AND (m.seq < 1 OR m.seq > :last))
            AND NOT EXISTS (
                SELECT 1 FROM messages m WHERE m.conversation_id = :id AND m.parent_id IS NOT NULL AND NOT EXISTS (
                    SELECT 1 FROM messages p WHERE p.id = m.parent_id AND p.conversation_id = :id
                )
            )
            AND (head_message_id IS NULL OR EXISTS (
                SELECT 1 FROM messages h WHERE h.id = conversations.head_message_id AND h.conversation_id = :id
            ))
        RETURNING id
        """
    )

    /// Makes a whole conversation visible: it has a row for each number up to `last`, with parents and head among them.
    /// A slug that another conversation of the owner has is dropped. Tags are looked up, since an export is no
    /// snapshot.
    static func finishConversation(
        id: String,
        owner: String,
        last: Int64,
        version: Int64,
        deletedAt: SQLValue
    ) -> BoundStatement {
        finishConversation.bind([
            "id": id, "owner": owner, "last": last, "version": version, "deleted_at": deletedAt,
        ])
    }

    private static let conversationState = Statement(
        "import.conversation_state",
        .reads,
        ["id": .text],
        "SELECT owner_id, version FROM conversations WHERE id = :id"
    )

    static func conversationState(id: String) -> BoundStatement { conversationState.bind(["id": id]) }

    private static let dropConversation = Statement(
        "import.abandon_conversation",
        .writes,
        ["id": .text, "owner": .text, "now": .instant],
        """
        UPDATE conversations SET version = -1, deleted_at = :now
        WHERE id = :id AND owner_id = :owner AND \(isHidden("conversations"))
        """
    )

    /// Marks an unfinished conversation for removal, by `Trash` or else by the cleanup.
    static func dropConversation(id: String, owner: String, at now: Instant) -> BoundStatement {
        dropConversation.bind(["id": id, "owner": owner, "now": now])
    }

    private static let mergePrincipal = Statement(
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
    static func mergePrincipal(_ row: [String: SQLValue], into id: String) -> BoundStatement {
        mergePrincipal.bind([
            "id": id, "name": row["display_name"] ?? .null, "avatar": row["avatar_url"] ?? .null,
            "tokens": row["tokens_total"] ?? .null, "first_seen": row["first_seen_at"] ?? .null,
        ])
    }

    static let all =
        [
            principal, conversations, messages, insertConversation, insertMessage, finishConversation,
            conversationState, dropConversation, mergePrincipal,
        ] + FlatEntity.statements
}
