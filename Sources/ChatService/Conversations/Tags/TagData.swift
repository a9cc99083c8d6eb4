// Tags in erasures and exports.
import Storage

enum TagData {
    // First what would cascade from a tag, any number of rows in one statement.
    static let erasure = [
        ErasureStep(
            "conversation_tags",
            measuring: { owner, engine in
                """
                SELECT ct.conversation_id, ct.tag_id FROM tags t
                \(OnePlan.each("conversation_tags", as: "ct", where: "ct.tag_id = t.id", engine))
                WHERE \(OnePlan.group("t.owner_id", is: owner))
                """
            },
            delete: { keys, engine in
                let isAmong = OnePlan.amongFew("conversation_id, tag_id", foundBy: ["conversation_id"], engine)
                return "\(OnePlan.few(keys)) DELETE FROM conversation_tags WHERE \(isAmong)"
            }
        ),
        ErasureStep(
            "tags",
            keys: { owner in "SELECT id FROM tags WHERE \(OnePlan.group("owner_id", is: owner))" },
            delete: { "DELETE FROM tags WHERE \(OnePlan.among("id", $0, $1))" }
        ),
    ]

    // MARK: Export

    private static let tag = ExportedEntity(
        name: "tag",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("owner_id", .person), ExportedColumn("name", .text),
            ExportedColumn("name_key", .text), ExportedColumn("created_at", .instant),
            ExportedColumn("updated_at", .instant),
        ]
    )

    private static let conversationTag = ExportedEntity(
        name: "conversation_tag",
        columns: [ExportedColumn("conversation_id", .id), ExportedColumn("tag_id", .id)]
    )

    static let export = [
        FlatExport(
            tag,
            table: "tags",
            of: "owner_id",
            key: ["created_at", "id"],
            // If every conversation of the file existed, so did every tag, and a missing one was deleted. If the person
            // has none, the file's belong to another person. One that the import fills is found by its id. Nothing else
            // that is unfinished or in the trash is looked at.
            insert: insertTag(
                if: """
                    (EXISTS (
                        SELECT 1 FROM conversations c
                        WHERE c.id = :importing AND \(ConversationState.unfinished.sql(of: ":owner", "c"))
                    ) OR NOT EXISTS (
                        SELECT 1 FROM conversations c WHERE \(OnePlan.group("c.owner_id", is: ":owner"))
                    ))
                    """
            ),
            insertAlone: insertTag(),
            needsImport: true
        ),
        FlatExport(
            conversationTag,
            table: "conversation_tags",
            key: ["conversation_id", "tag_id"],
            from: tagsOfConversations,
            // An import has the tag's key in place of its id, which may differ here.
            insert: """
                INSERT INTO conversation_tags (\(conversationTag.columnList))
                SELECT :conversation_id, t.id FROM tags t
                WHERE \(Principals.mayWrite(principal: ":owner")) AND t.owner_id = :owner AND t.name_key = :tag_id
                    AND \(ConversationImport.isImporting)
                ON CONFLICT DO NOTHING
                """
        ),
    ]

    /// From conversation to conversation of the owner, and of each no more than a page has.
    private static func tagsOfConversations(_ engine: SQLEngine) -> String {
        engine == .postgres
            ? """
            (
                SELECT c.owner_id AS own_owner, c.id AS own_id FROM conversations c
                WHERE (c.owner_id, c.id) >= (:owner, :conversation_id) AND c.owner_id <= :owner
            ) AS own
            CROSS JOIN LATERAL (
                SELECT ct.* FROM conversation_tags ct
                WHERE (ct.conversation_id, ct.tag_id)
                        > (own.own_id, CASE WHEN own.own_id = :conversation_id THEN :tag_id ELSE '' END)
                    AND ct.conversation_id <= own.own_id
                ORDER BY ct.conversation_id, ct.tag_id LIMIT :limit
            ) AS conversation_tags
            ORDER BY own.own_owner, own.own_id, conversation_tags.tag_id
            """
            : """
            (
                SELECT c.id AS own_id FROM conversations c WHERE c.owner_id = :owner AND c.id >= :conversation_id
            ) AS own
            CROSS JOIN conversation_tags ON conversation_tags.conversation_id = own.own_id
            WHERE (conversation_tags.conversation_id, conversation_tags.tag_id) > (:conversation_id, :tag_id)
            ORDER BY own.own_id, conversation_tags.tag_id
            """
    }

    private static func insertTag(if condition: String = "TRUE") -> String {
        """
        INSERT INTO tags (\(tag.columnList))
        SELECT \(tag.parameterList)
        WHERE \(Principals.mayWrite(principal: ":owner")) AND :owner_id = :owner AND \(condition)
        ON CONFLICT DO NOTHING
        """
    }
}
