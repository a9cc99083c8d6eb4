// Every entity of an export. Conversations and their messages are special, for a message is read and inserted with its
// conversation; whatever else a person owns is flat: rows in the order of their keys.
import Storage

extension ExportedEntity {
    static let principal = ExportedEntity(
        name: "principal",
        table: "principals",
        columns: [
            ExportedColumn("id", .person), ExportedColumn("kind", .text), ExportedColumn("display_name", .text),
            ExportedColumn("avatar_url", .text), ExportedColumn("tokens_total", .integer),
            ExportedColumn("first_seen_at", .instant), ExportedColumn("last_seen_at", .instant),
        ]
    )

    // A stream does not survive a move, so `active_stream_id` stays behind.
    static let conversation = ExportedEntity(
        name: "conversation",
        table: "conversations",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("owner_id", .person), ExportedColumn("title", .text),
            ExportedColumn("title_source", .text), ExportedColumn("model", .text), ExportedColumn("slug", .text),
            ExportedColumn("visibility", .text), ExportedColumn("pinned_at", .instant),
            ExportedColumn("archived_at", .instant), ExportedColumn("archive_reason", .text),
            ExportedColumn("forked_from_conversation_id", .id), ExportedColumn("forked_from_message_id", .id),
            ExportedColumn("head_message_id", .id), ExportedColumn("last_seq", .integer),
            ExportedColumn("message_count", .integer), ExportedColumn("tokens_in", .integer),
            ExportedColumn("tokens_out", .integer), ExportedColumn("last_message_at", .instant),
            ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer),
            ExportedColumn("has_tags", .boolean), ExportedColumn("settings", .json), ExportedColumn("metadata", .json),
        ]
    )

    static let message = ExportedEntity(
        name: "message",
        table: "messages",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("conversation_id", .id), ExportedColumn("seq", .integer),
            ExportedColumn("parent_id", .id), ExportedColumn("author_id", .person), ExportedColumn("role", .text),
            ExportedColumn("type", .text), ExportedColumn("status", .text), ExportedColumn("model", .text),
            ExportedColumn("tokens_in", .integer), ExportedColumn("tokens_out", .integer),
            ExportedColumn("tokens_total", .integer), ExportedColumn("created_at", .instant),
            ExportedColumn("updated_at", .instant), ExportedColumn("edited_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer),
            ExportedColumn("metadata", .json), ExportedColumn("content_text", .text), ExportedColumn("parts", .json),
        ]
    )

    /// The lines between the header and the trailer, in the order in which they come.
    static let names = [principal.name, conversation.name, message.name] + FlatEntity.all.map(\.entity.name)
}

/// Rows that are exported by themselves, in the order of their keys, and inserted one by one.
struct FlatEntity: Sendable {
    let entity: ExportedEntity
    /// `$1` the owner, then a value for each column of the key, then the limit.
    let page: Statement
    /// The columns' values, then the owner; no row where the row exists or is none of the owner's.
    let insert: Statement
    /// The columns that order the pages, each with a value below all others.
    let key: [(column: String, lowest: SQLValue)]

    /// - Parameters:
    ///   - entity: the columns.
    ///   - key: the columns that order the pages; together unique.
    ///   - scope: the SQL condition that a row is that of `$1`.
    ///   - condition: the SQL condition of an insert, by the parameters of its columns and of the owner: what the row
    ///     refers to must be the owner's, and in that the row itself.
    init(
        _ entity: ExportedEntity,
        key: [String],
        scope: String,
        condition: (_ parameter: (String) -> String, _ owner: String) -> String
    ) {
        self.entity = entity
        let columns = entity.columns
        let keyColumns = key.compactMap { name in columns.first { $0.name == name } }
        self.key = keyColumns.map { ($0.name, Self.lowest($0.type)) }
        let names = keyColumns.map(\.name).joined(separator: ", ")
        let places = keyColumns.indices.map { "$\($0 + 2)" }.joined(separator: ", ")
        page = Statement(
            "export.\(entity.table)",
            .reads,
            [.text] + keyColumns.map(\.type) + [.integer],
            """
            SELECT \(entity.columnList) FROM \(entity.table)
            WHERE \(scope) AND (\(names)) > (\(places))
            ORDER BY \(names) LIMIT $\(keyColumns.count + 2)
            """
        )
        let owner = "$\(columns.count + 1)"
        func parameter(_ name: String) -> String {
            "$\((columns.firstIndex { $0.name == name } ?? columns.count) + 1)"
        }
        insert = Statement(
            "import.\(entity.table)",
            .writes,
            columns.map(\.type) + [.text],
            """
            INSERT INTO \(entity.table) (\(entity.columnList))
            SELECT \(columns.indices.map { "$\($0 + 1)" }.joined(separator: ", "))
            WHERE \(PrincipalStatements.mayWrite(owner)) AND \(condition(parameter, owner))
            ON CONFLICT DO NOTHING
            """
        )
    }

    private static func lowest(_ type: SQLType) -> SQLValue {
        switch type {
        case .integer: .integer(.min)
        case .instant: .instant(Instant(microseconds: -62_135_596_800_000_000))
        default: .text("")
        }
    }

    private static func ownsConversation(_ id: String, _ owner: String) -> String {
        "EXISTS (SELECT 1 FROM conversations c WHERE c.id = \(id) AND c.owner_id = \(owner))"
    }

    private static let tags = FlatEntity(
        ExportedEntity(
            name: "tag",
            table: "tags",
            columns: [
                ExportedColumn("id", .id), ExportedColumn("owner_id", .person), ExportedColumn("name", .text),
                ExportedColumn("name_key", .text), ExportedColumn("created_at", .instant),
                ExportedColumn("updated_at", .instant),
            ]
        ),
        key: ["id"],
        scope: "owner_id = $1"
    ) { parameter, owner in "\(parameter("owner_id")) = \(owner)" }

    private static let conversationTags = FlatEntity(
        ExportedEntity(
            name: "conversation_tag",
            table: "conversation_tags",
            columns: [ExportedColumn("conversation_id", .id), ExportedColumn("tag_id", .id)]
        ),
        key: ["tag_id", "conversation_id"],
        scope: "tag_id IN (SELECT id FROM tags WHERE owner_id = $1)"
    ) { parameter, owner in
        """
        \(ownsConversation(parameter("conversation_id"), owner))
            AND EXISTS (SELECT 1 FROM tags t WHERE t.id = \(parameter("tag_id")) AND t.owner_id = \(owner))
        """
    }

    private static let votes = FlatEntity(
        ExportedEntity(
            name: "vote",
            table: "votes",
            columns: [
                ExportedColumn("message_id", .id), ExportedColumn("user_id", .person),
                ExportedColumn("conversation_id", .id), ExportedColumn("value", .integer),
                ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
            ]
        ),
        key: ["message_id"],
        scope: "user_id = $1"
    ) { parameter, owner in
        """
        \(parameter("user_id")) = \(owner) AND \(ownsConversation(parameter("conversation_id"), owner))
            AND EXISTS (
                SELECT 1 FROM messages m
                WHERE m.id = \(parameter("message_id")) AND m.conversation_id = \(parameter("conversation_id"))
            )
        """
    }

    // The sums, and not the ledger that they are of: what was used elsewhere is told, and billed to nobody again.
    private static let usageTotals = FlatEntity(
        ExportedEntity(
            name: "usage_total",
            table: "usage_totals",
            columns: [
                ExportedColumn("user_id", .person), ExportedColumn("day", .text), ExportedColumn("model", .text),
                ExportedColumn("messages", .integer), ExportedColumn("tokens_in", .integer),
                ExportedColumn("tokens_out", .integer), ExportedColumn("tokens_total", .integer),
            ]
        ),
        key: ["day", "model"],
        scope: "user_id = $1"
    ) { parameter, owner in "\(parameter("user_id")) = \(owner)" }

    static let all = [tags, conversationTags, votes, usageTotals]
    static let statements = all.flatMap { [$0.page, $0.insert] }
}
