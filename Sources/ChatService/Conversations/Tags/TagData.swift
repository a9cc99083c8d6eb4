// Tags in erasures and exports.
import Storage

enum TagData {
    // First what would cascade from a tag, any number of rows in one statement.
    static let erasure = [
        ErasureStep(
            "conversation_tags",
            keys: { owner in
                """
                SELECT ct.conversation_id, ct.tag_id FROM tags t JOIN conversation_tags ct ON ct.tag_id = t.id
                WHERE t.owner_id = \(owner)
                """
            },
            delete: { "DELETE FROM conversation_tags WHERE (conversation_id, tag_id) IN (\($0))" }
        ),
        ErasureStep(
            "tags",
            keys: { owner in "SELECT id FROM tags WHERE owner_id = \(owner)" },
            delete: { "DELETE FROM tags WHERE id IN (\($0))" }
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
            key: ["id"],
            from: "tags WHERE owner_id = :owner",
            // If every conversation of the file existed, so did every tag, and a missing one was deleted. If the person
            // has none, the file's belong to another person.
            insert: insertTag(
                if: """
                    (EXISTS (
                        SELECT 1 FROM conversations c
                        WHERE c.version <= 0 AND c.owner_id = :owner AND \(ConversationState.unfinished.sql("c"))
                    ) OR NOT EXISTS (SELECT 1 FROM conversations c WHERE c.owner_id = :owner))
                    """
            ),
            insertAlone: insertTag()
        ),
        FlatExport(
            conversationTag,
            table: "conversation_tags",
            key: ["tag_id", "conversation_id"],
            from: "conversation_tags WHERE tag_id IN (SELECT id FROM tags WHERE owner_id = :owner)",
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

    private static func insertTag(if condition: String = "TRUE") -> String {
        """
        INSERT INTO tags (\(tag.columnList))
        SELECT \(tag.parameterList)
        WHERE \(Principals.mayWrite(principal: ":owner")) AND :owner_id = :owner AND \(condition)
        ON CONFLICT DO NOTHING
        """
    }
}
