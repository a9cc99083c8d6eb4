import ServiceKit
import Storage

enum TagStatements {
    /// `conversation_count` is of live conversations; triggers maintain it (migrations, tag counts).
    static let columns = "id, owner_id, name, conversation_count, created_at, updated_at"

    /// U+001F, which no name contains.
    static let separator: Character = "\u{1F}"

    /// The names of a conversation's tags, joined; NULL without tags. For statements on `conversations`.
    static let names = """
        CASE WHEN has_tags THEN (
            SELECT string_agg((SELECT t.name FROM tags t WHERE t.id = ct.tag_id), '\(separator)')
            FROM conversation_tags ct WHERE ct.conversation_id = conversations.id
        ) END AS tags
        """

    // The conversation is the owner's, in the expected version. The principal's lock keeps it so until the transaction
    // ends.
    private static let mayTag = """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = :conversation AND \(ConversationState.live.sql(of: ":owner", "c"))
                AND (:expected IS NULL OR c.version = :expected)
        ) AND \(Principals.mayWrite(principal: ":owner"))
        """

    private static let hasRoom =
        ":limit > (SELECT COUNT(*) FROM conversation_tags o WHERE o.conversation_id = :conversation)"

    private static let ensure = Statement(
        "tags.ensure",
        .writes,
        [
            "id": .text, "owner": .text, "name": .text, "key": .text, "now": .instant, "conversation": .text,
            "expected": .integer, "limit": .integer,
        ],
        """
        INSERT INTO tags (id, owner_id, name, name_key, created_at, updated_at)
        SELECT :id, principals.id, :name, :key, :now, :now FROM principals
        WHERE principals.id = :owner AND \(mayTag) AND \(hasRoom)
        ON CONFLICT DO NOTHING
        """
    )

    /// Makes a tag on first use, if the conversation has fewer than `limit`.
    static func ensure(
        id: String,
        named name: TagName,
        for conversation: String,
        owner: String,
        expected: Int64?,
        limit: Int64,
        at now: Instant
    ) -> BoundStatement {
        ensure.bind([
            "id": id, "owner": owner, "name": name.text, "key": name.key, "now": now, "conversation": conversation,
            "expected": expected, "limit": limit,
        ])
    }

    private static let clear = Statement(
        "conversation_tags.clear",
        .writes,
        ["conversation": .text, "owner": .text, "expected": .integer],
        "DELETE FROM conversation_tags WHERE conversation_id = :conversation AND \(mayTag)"
    )

    static func clear(conversation: String, owner: String, expected: Int64?) -> BoundStatement {
        clear.bind(["conversation": conversation, "owner": owner, "expected": expected])
    }

    private static let add = Statement(
        "conversation_tags.add",
        .writes,
        ["conversation": .text, "owner": .text, "expected": .integer, "key": .text, "limit": .integer],
        """
        INSERT INTO conversation_tags (conversation_id, tag_id)
        SELECT :conversation, t.id FROM tags t
        WHERE t.owner_id = :owner AND t.name_key = :key AND \(mayTag) AND \(hasRoom)
        ON CONFLICT DO NOTHING
        """
    )

    /// Attaches a tag, if the conversation has fewer than `limit`.
    static func add(
        name: TagName,
        to conversation: String,
        owner: String,
        expected: Int64?,
        limit: Int64
    ) -> BoundStatement {
        add.bind([
            "conversation": conversation, "owner": owner, "expected": expected, "key": name.key, "limit": limit,
        ])
    }

    private static let remove = Statement(
        "conversation_tags.remove",
        .writes,
        ["conversation": .text, "owner": .text, "expected": .integer, "key": .text],
        """
        DELETE FROM conversation_tags
        WHERE conversation_id = :conversation AND \(mayTag)
            AND tag_id = (SELECT t.id FROM tags t WHERE t.owner_id = :owner AND t.name_key = :key)
        """
    )

    static func remove(name: TagName, from conversation: String, owner: String, expected: Int64?) -> BoundStatement {
        remove.bind(["conversation": conversation, "owner": owner, "expected": expected, "key": name.key])
    }

    private static let later = Statement(
        "tags.later",
        .reads,
        ["owner": .text, "instant": .instant, "id": .text, "limit": .integer],
        """
        SELECT \(columns) FROM tags
        WHERE owner_id = :owner AND (created_at, id) > (:instant, :id) ORDER BY created_at, id LIMIT :limit
        """
    )

    private static let earlier = Statement(
        "tags.earlier",
        .reads,
        ["owner": .text, "instant": .instant, "id": .text, "limit": .integer],
        """
        SELECT \(columns) FROM tags
        WHERE owner_id = :owner AND (created_at, id) < (:instant, :id)
        ORDER BY created_at DESC, id DESC LIMIT :limit
        """
    )

    /// In the direction of the page.
    static func page(of owner: String, direction: PageRequest.Direction, from cursor: Cursor, limit: Int64)
        -> BoundStatement
    {
        let statement = direction == .forward ? later : earlier
        return statement.bind(["owner": owner, "instant": cursor.instant, "id": cursor.id, "limit": limit])
    }

    private static let total = Statement(
        "tags.count",
        .reads,
        ["owner": .text],
        "SELECT COUNT(*) AS total FROM tags WHERE owner_id = :owner"
    )

    static func total(of owner: String) -> BoundStatement { total.bind(["owner": owner]) }

    private static let rename = Statement(
        "tags.rename",
        .writes,
        ["id": .text, "owner": .text, "name": .text, "key": .text, "now": .instant],
        """
        UPDATE tags SET name = :name, name_key = :key, updated_at = :now
        WHERE id = :id AND \(OnePlan.check("owner_id = :owner")) AND \(Principals.mayWrite(principal: ":owner"))
            AND NOT EXISTS (SELECT 1 FROM tags o WHERE o.owner_id = :owner AND o.name_key = :key AND o.id <> :id)
        RETURNING \(columns)
        """
    )

    static func rename(id: String, owner: String, to name: TagName, at now: Instant) -> BoundStatement {
        rename.bind(["id": id, "owner": owner, "name": name.text, "key": name.key, "now": now])
    }

    private static let find = Statement(
        "tags.find",
        .reads,
        ["owner": .text, "key": .text],
        "SELECT id, conversation_count FROM tags WHERE owner_id = :owner AND name_key = :key"
    )

    static func find(name: TagName, owner: String) -> BoundStatement {
        find.bind(["owner": owner, "key": name.key])
    }

    private static let exists = Statement(
        "tags.is_there",
        .reads,
        ["id": .text, "owner": .text],
        "SELECT id FROM tags WHERE id = :id AND \(OnePlan.check("owner_id = :owner"))"
    )

    static func exists(id: String, owner: String) -> BoundStatement { exists.bind(["id": id, "owner": owner]) }

    private static let isOwned =
        "EXISTS (SELECT 1 FROM tags t WHERE t.id = :id AND \(OnePlan.check("t.owner_id = :owner")))"

    private static let tagged = """
        SELECT o.conversation_id FROM conversation_tags o WHERE o.tag_id = :id ORDER BY o.conversation_id LIMIT :limit
        """

    private static let batch: StatementParameters = ["id": .text, "owner": .text, "limit": .integer]

    private static let detach = Statement("conversation_tags.take_off", .writes, batch) { engine in
        """
        DELETE FROM conversation_tags
        WHERE \(OnePlan.among("conversation_id", tagged, engine)) AND \(OnePlan.check("tag_id = :id"))
            AND \(Principals.mayWrite(principal: ":owner")) AND \(isOwned)
        """
    }

    static func detach(id: String, owner: String, limit: Int64) -> BoundStatement {
        detach.bind(["id": id, "owner": owner, "limit": limit])
    }

    private static let delete = Statement(
        "tags.delete",
        .writes,
        ["id": .text, "owner": .text],
        """
        DELETE FROM tags
        WHERE id = :id AND \(OnePlan.check("owner_id = :owner")) AND \(Principals.mayWrite(principal: ":owner"))
            AND NOT EXISTS (SELECT 1 FROM conversation_tags ct WHERE ct.tag_id = :id)
        RETURNING id
        """
    )

    static func delete(id: String, owner: String) -> BoundStatement { delete.bind(["id": id, "owner": owner]) }

    private static let copy = Statement(
        "conversation_tags.copy",
        .writes,
        ["fork": .text, "owner": .text, "source": .text],
        """
        INSERT INTO conversation_tags (conversation_id, tag_id)
        SELECT :fork, ct.tag_id FROM conversation_tags ct
        WHERE ct.conversation_id = :source AND \(Principals.mayWrite(principal: ":owner")) AND EXISTS (
                SELECT 1 FROM conversations f
                WHERE f.id = :fork AND f.forked_from_conversation_id = :source
                    AND \(ConversationState.incomplete.sql(of: ":owner", "f"))
            )
        ON CONFLICT DO NOTHING
        """
    )

    /// Copies the source's tags to a fork.
    static func copy(to fork: String, from source: String, owner: String) -> BoundStatement {
        copy.bind(["fork": fork, "owner": owner, "source": source])
    }

    private static let changed = Statement(
        "conversation_tags.changed",
        .writes,
        ["conversation": .text, "owner": .text, "expected": .integer, "now": .instant, "key": .text],
        """
        UPDATE conversations SET has_tags = TRUE, updated_at = :now, version = version + 1
        WHERE id = :conversation AND \(mayTag)
            AND (:key IS NULL OR EXISTS (
                SELECT 1 FROM conversation_tags ct WHERE ct.conversation_id = :conversation AND ct.tag_id = (
                    SELECT t.id FROM tags t WHERE t.owner_id = :owner AND t.name_key = :key
                )
            ))
        RETURNING \(ConversationStatements.columns)
        """
    )

    /// Raises the conversation's version, unless the `required` tag found no room. The last write of its transaction.
    static func changed(
        conversation: String,
        owner: String,
        expected: Int64?,
        required: TagName?,
        at now: Instant
    ) -> BoundStatement {
        changed.bind([
            "conversation": conversation, "owner": owner, "expected": expected, "now": now, "key": required?.key,
        ])
    }

    private static let bumpVersions = Statement("conversation_tags.lose", .writes, batch) { engine in
        """
        UPDATE conversations SET version = version + 1
        WHERE \(OnePlan.among("id", tagged, engine)) AND \(ConversationState.complete.sql(of: ":owner"))
            AND \(Principals.mayWrite(principal: ":owner")) AND \(isOwned)
        """
    }

    /// Raises the version of the conversations that `detach` is about to change; incomplete and ended ones have none.
    /// Their order in the list stays, since the person changed none of them.
    static func bumpVersions(id: String, owner: String, limit: Int64) -> BoundStatement {
        bumpVersions.bind(["id": id, "owner": owner, "limit": limit])
    }

    static let all = [
        ensure, clear, add, remove, changed, later, earlier, total, rename, find, exists, bumpVersions, detach, delete,
        copy,
    ]
}
