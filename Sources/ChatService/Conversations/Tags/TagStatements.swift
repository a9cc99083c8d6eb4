// SQL of tags.
import Storage

enum TagStatements {
    /// `conversation_count` is of living conversations; triggers keep it (migrations, tag counts).
    static let columns = "id, owner_id, name, conversation_count, created_at, updated_at"

    /// U+001F, which no name holds.
    static let separator: Character = "\u{1F}"

    /// The names of a conversation's tags, joined; NULL when it has none. For statements on `conversations`.
    static let names = """
        CASE WHEN has_tags THEN (
            SELECT string_agg(t.name, '\(separator)')
            FROM conversation_tags ct JOIN tags t ON t.id = ct.tag_id
            WHERE ct.conversation_id = conversations.id
        ) END AS tags
        """

    // The conversation is there for its owner, in the version that was asked for. The principal's lock keeps it so
    // until the unit ends.
    private static func mayTag(_ conversation: String, _ owner: String, _ version: String) -> String {
        """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = \(conversation) AND c.owner_id = \(owner) AND c.deleted_at IS NULL
                AND (\(version) IS NULL OR c.version = \(version))
        ) AND \(PrincipalStatements.mayWrite(owner))
        """
    }

    /// Makes a tag on first use, while the conversation has fewer than `$8`.
    static let ensure = Statement(
        "tags.ensure",
        .writes,
        [.text, .text, .text, .text, .instant, .text, .integer, .integer],
        """
        INSERT INTO tags (id, owner_id, name, name_key, created_at, updated_at)
        SELECT $1, principals.id, $3, $4, $5, $5 FROM principals
        WHERE principals.id = $2 AND \(mayTag("$6", "$2", "$7"))
            AND $8 > (SELECT COUNT(*) FROM conversation_tags o WHERE o.conversation_id = $6)
        ON CONFLICT DO NOTHING
        """
    )

    static let clear = Statement(
        "conversation_tags.clear",
        .writes,
        [.text, .text, .integer],
        "DELETE FROM conversation_tags WHERE conversation_id = $1 AND \(mayTag("$1", "$2", "$3"))"
    )

    /// Up to `$5` of a conversation.
    static let add = Statement(
        "conversation_tags.add",
        .writes,
        [.text, .text, .integer, .text, .integer],
        """
        INSERT INTO conversation_tags (conversation_id, tag_id)
        SELECT $1, t.id FROM tags t
        WHERE t.owner_id = $2 AND t.name_key = $4 AND \(mayTag("$1", "$2", "$3"))
            AND $5 > (SELECT COUNT(*) FROM conversation_tags o WHERE o.conversation_id = $1)
        ON CONFLICT DO NOTHING
        """
    )

    static let remove = Statement(
        "conversation_tags.remove",
        .writes,
        [.text, .text, .integer, .text],
        """
        DELETE FROM conversation_tags
        WHERE conversation_id = $1 AND \(mayTag("$1", "$2", "$3"))
            AND tag_id = (SELECT t.id FROM tags t WHERE t.owner_id = $2 AND t.name_key = $4)
        """
    )

    /// Tells that the tags have changed, unless the one to be added (`$5`) found no room. The last write of its unit.
    static let changed = Statement(
        "conversation_tags.changed",
        .writes,
        [.text, .text, .integer, .instant, .text],
        """
        UPDATE conversations SET has_tags = TRUE, updated_at = $4, version = version + 1
        WHERE id = $1 AND \(mayTag("$1", "$2", "$3"))
            AND ($5 IS NULL OR EXISTS (
                SELECT 1 FROM conversation_tags ct JOIN tags t ON t.id = ct.tag_id
                WHERE ct.conversation_id = $1 AND t.name_key = $5
            ))
        RETURNING \(ConversationStatements.columns)
        """
    )

    static let later = Statement(
        "tags.later",
        .reads,
        [.text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM tags
        WHERE owner_id = $1 AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4
        """
    )

    static let earlier = Statement(
        "tags.earlier",
        .reads,
        [.text, .instant, .text, .integer],
        """
        SELECT \(columns) FROM tags
        WHERE owner_id = $1 AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4
        """
    )

    static let total = Statement(
        "tags.count",
        .reads,
        [.text],
        "SELECT COUNT(*) AS total FROM tags WHERE owner_id = $1"
    )

    static let rename = Statement(
        "tags.rename",
        .writes,
        [.text, .text, .text, .text, .instant],
        """
        UPDATE tags SET name = $3, name_key = $4, updated_at = $5
        WHERE id = $1 AND owner_id = $2 AND \(PrincipalStatements.mayWrite("$2"))
            AND NOT EXISTS (SELECT 1 FROM tags o WHERE o.owner_id = $2 AND o.name_key = $4 AND o.id <> $1)
        RETURNING \(columns)
        """
    )

    static let find = Statement(
        "tags.find",
        .reads,
        [.text, .text],
        "SELECT id, conversation_count FROM tags WHERE owner_id = $1 AND name_key = $2"
    )

    static let isThere = Statement(
        "tags.is_there",
        .reads,
        [.text, .text],
        "SELECT id FROM tags WHERE id = $1 AND owner_id = $2"
    )

    private static func tagged(_ limit: String) -> String {
        """
        SELECT o.conversation_id FROM conversation_tags o WHERE o.tag_id = $1 ORDER BY o.conversation_id LIMIT \(limit)
        """
    }

    /// Counts the version of those that `takeOff` is about to take a tag off; what is being made or taken apart has none.
    /// Their place in the list stays: nobody has touched them.
    static let lose = Statement(
        "conversation_tags.lose",
        .writes,
        [.text, .text, .integer],
        """
        UPDATE conversations SET version = version + 1
        WHERE owner_id = $2 AND version > 0 AND \(PrincipalStatements.mayWrite("$2"))
            AND EXISTS (SELECT 1 FROM tags t WHERE t.id = $1 AND t.owner_id = $2)
            AND id IN (\(tagged("$3")))
        """
    )

    /// Takes a tag off up to `$3` conversations.
    static let takeOff = Statement(
        "conversation_tags.take_off",
        .writes,
        [.text, .text, .integer],
        """
        DELETE FROM conversation_tags
        WHERE tag_id = $1 AND \(PrincipalStatements.mayWrite("$2"))
            AND EXISTS (SELECT 1 FROM tags t WHERE t.id = $1 AND t.owner_id = $2)
            AND conversation_id IN (\(tagged("$3")))
        """
    )

    static let delete = Statement(
        "tags.delete",
        .writes,
        [.text, .text],
        """
        DELETE FROM tags
        WHERE id = $1 AND owner_id = $2 AND \(PrincipalStatements.mayWrite("$2"))
            AND NOT EXISTS (SELECT 1 FROM conversation_tags ct WHERE ct.tag_id = $1)
        RETURNING id
        """
    )

    /// A fork has the tags of what it was made from.
    static let copy = Statement(
        "conversation_tags.copy",
        .writes,
        [.text, .text, .text],
        """
        INSERT INTO conversation_tags (conversation_id, tag_id)
        SELECT f.id, ct.tag_id FROM conversations f
        JOIN conversation_tags ct ON ct.conversation_id = f.forked_from_conversation_id
        WHERE f.id = $1 AND f.owner_id = $2 AND f.forked_from_conversation_id = $3 AND f.version = 0
            AND \(PrincipalStatements.mayWrite("$2"))
        ON CONFLICT DO NOTHING
        """
    )

    static let all = [
        ensure, clear, add, remove, changed, later, earlier, total, rename, find, isThere, lose, takeOff, delete, copy,
    ]
}
