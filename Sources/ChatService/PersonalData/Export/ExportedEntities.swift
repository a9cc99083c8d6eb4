// Every entity of an export. A message is read and inserted with its conversation. All others are flat: rows in the
// order of their keys.
import Storage

extension ExportedEntity {
    private typealias Bounds = ExportedColumn.Bounds

    // A sum that an earlier correction left below zero counts as zero: an import keeps the greater of two.
    static let principal = ExportedEntity(
        name: "principal",
        table: "principals",
        columns: [
            ExportedColumn("id", .person), ExportedColumn("kind", .text), ExportedColumn("display_name", .text),
            ExportedColumn("avatar_url", .text),
            ExportedColumn("tokens_total", .integer(-Bounds.sums.upperBound...Bounds.sums.upperBound)),
            ExportedColumn("first_seen_at", .instant), ExportedColumn("last_seen_at", .instant),
        ]
    )

    // A stream does not survive a move, so `active_stream_id` is left out.
    static let conversation = ExportedEntity(
        name: "conversation",
        table: "conversations",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("owner_id", .person), ExportedColumn("title", .text),
            ExportedColumn("title_source", .text), ExportedColumn("model", .text), ExportedColumn("slug", .text),
            ExportedColumn("visibility", .text), ExportedColumn("pinned_at", .instant),
            ExportedColumn("archived_at", .instant), ExportedColumn("archive_reason", .text),
            ExportedColumn("forked_from_conversation_id", .id), ExportedColumn("forked_from_message_id", .id),
            ExportedColumn("head_message_id", .id), ExportedColumn("last_seq", .integer(Bounds.numbers)),
            ExportedColumn("message_count", .integer(Bounds.numbers)),
            ExportedColumn("tokens_in", .integer(Bounds.sums)),
            ExportedColumn("tokens_out", .integer(Bounds.sums)), ExportedColumn("last_message_at", .instant),
            ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer(Bounds.versions)),
            ExportedColumn("has_tags", .boolean), ExportedColumn("settings", .object),
            ExportedColumn("metadata", .object),
        ]
    )

    static let message = ExportedEntity(
        name: "message",
        table: "messages",
        columns: [
            ExportedColumn("id", .id), ExportedColumn("conversation_id", .id),
            ExportedColumn("seq", .integer(Bounds.numbers)),
            ExportedColumn("parent_id", .id), ExportedColumn("author_id", .person), ExportedColumn("role", .text),
            ExportedColumn("type", .text), ExportedColumn("status", .text), ExportedColumn("model", .text),
            ExportedColumn("tokens_in", .integer(Bounds.tokens)), ExportedColumn("tokens_out", .integer(Bounds.tokens)),
            ExportedColumn("tokens_total", .integer(Bounds.tokens)), ExportedColumn("created_at", .instant),
            ExportedColumn("updated_at", .instant), ExportedColumn("edited_at", .instant),
            ExportedColumn("deleted_at", .instant), ExportedColumn("version", .integer(Bounds.versions)),
            ExportedColumn("metadata", .object), ExportedColumn("content_text", .text), ExportedColumn("parts", .array),
        ]
    )

    /// The lines between the header and the trailer, in order.
    static let names = [principal.name, conversation.name, message.name] + FlatEntity.all.map(\.entity.name)
}

/// Rows that are exported in the order of their keys, and inserted one by one.
struct FlatEntity: Sendable {
    let entity: ExportedEntity
    private let page: Statement
    private let insert: Statement
    /// For a file without conversations, if the insert depends on those.
    private let insertAlone: Statement?
    /// The columns that order the pages, each with a value below all others.
    private let key: [(column: String, lowest: SQLValue)]

    /// - Parameters:
    ///   - entity: the columns.
    ///   - key: the columns that order the pages; together unique.
    ///   - scope: the SQL condition that a row belongs to `:owner`.
    ///   - rows: the row of an insert, if it is not simply the parameters of its columns.
    ///   - condition: the SQL condition of an insert, with a parameter for each column and `:owner`: the row and its
    ///     references must be the owner's.
    ///   - alone: the same for a file without conversations.
    init(
        _ entity: ExportedEntity,
        key: [String],
        scope: String,
        rows: String? = nil,
        condition: String,
        alone: String? = nil
    ) {
        self.entity = entity
        let keyColumns = key.compactMap { name in entity.columns.first { $0.name == name } }
        self.key = keyColumns.map { ($0.name, Self.lowest($0.type)) }
        let names = keyColumns.map(\.name).joined(separator: ", ")
        let places = keyColumns.map { ":\($0.name)" }.joined(separator: ", ")
        page = Statement(
            "export.\(entity.table)",
            .reads,
            ["owner": .text] + StatementParameters(keyColumns.map { ($0.name, $0.type) }) + ["limit": .integer],
            """
            SELECT \(entity.columnList) FROM \(entity.table)
            WHERE \(scope) AND (\(names)) > (\(places))
            ORDER BY \(names) LIMIT :limit
            """
        )
        func insert(_ name: String, _ condition: String) -> Statement {
            Statement(
                name,
                .writes,
                entity.parameters + ["owner": .text],
                """
                INSERT INTO \(entity.table) (\(entity.columnList))
                SELECT \(rows ?? entity.parameterList)
                WHERE \(Principals.mayWrite(":owner")) AND \(condition)
                ON CONFLICT DO NOTHING
                """
            )
        }
        self.insert = insert("import.\(entity.table)", condition)
        insertAlone = alone.map { insert("import.\(entity.table)_alone", $0) }
    }

    /// A page of the owner's rows after `place`, the values of the key's columns; from the start without one.
    func page(of owner: String, after place: [String: SQLValue]?, limit: Int64) -> BoundStatement {
        let place = StatementValues(key.map { ($0.column, place?[$0.column] ?? $0.lowest) })
        return page.bind(["owner": owner] + place + ["limit": limit])
    }

    func place(of row: Row) throws(StorageError) -> [String: SQLValue] {
        var place: [String: SQLValue] = [:]
        for column in entity.columns where key.contains(where: { $0.column == column.name }) {
            // SQLite stores instants as integers.
            place[column.name] =
                column.type == .instant ? .instant(try row.instant(column.name)) : try row.value(column.name)
        }
        return place
    }

    /// Affects nothing if the row exists or is not the owner's. `isAlone`: the file has no conversations.
    func insert(_ row: [String: SQLValue], owner: String, isAlone: Bool) -> BoundStatement {
        (isAlone ? insertAlone ?? insert : insert).bind(entity.values(of: row) + ["owner": owner])
    }

    private static func lowest(_ type: SQLType) -> SQLValue {
        switch type {
        case .integer: .integer(.min)
        case .instant: .instant(.distantPast)
        default: .text("")
        }
    }

    /// Whether a conversation is the owner's and being imported. An existing one stays unchanged.
    private static let isImporting = """
        EXISTS (
            SELECT 1 FROM conversations c
            WHERE c.id = :conversation_id AND c.owner_id = :owner AND \(ExportStatements.isHidden("c"))
        )
        """

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
        scope: "owner_id = :owner",
        // If every conversation of the file existed, so did every tag, and a missing one was deleted. If the person has
        // none, the file's belong to another person.
        condition: """
            :owner_id = :owner AND (
                EXISTS (
                    SELECT 1 FROM conversations c
                    WHERE c.version <= 0 AND c.owner_id = :owner AND \(ExportStatements.isHidden("c"))
                ) OR NOT EXISTS (SELECT 1 FROM conversations c WHERE c.owner_id = :owner)
            )
            """,
        alone: ":owner_id = :owner"
    )

    private static let conversationTags = FlatEntity(
        ExportedEntity(
            name: "conversation_tag",
            table: "conversation_tags",
            columns: [ExportedColumn("conversation_id", .id), ExportedColumn("tag_id", .id)]
        ),
        key: ["tag_id", "conversation_id"],
        scope: "tag_id IN (SELECT id FROM tags WHERE owner_id = :owner)",
        rows: ":conversation_id, t.id FROM tags t",
        // An import has the tag's key in place of its id, which may differ here.
        condition: "t.owner_id = :owner AND t.name_key = :tag_id AND \(isImporting)"
    )

    private static let votes = FlatEntity(
        ExportedEntity(
            name: "vote",
            table: "votes",
            columns: [
                ExportedColumn("message_id", .id), ExportedColumn("user_id", .person),
                ExportedColumn("conversation_id", .id), ExportedColumn("value", .integer(-1...1)),
                ExportedColumn("created_at", .instant), ExportedColumn("updated_at", .instant),
            ]
        ),
        key: ["message_id"],
        scope: "user_id = :owner",
        condition: """
            :user_id = :owner AND \(isImporting)
                AND EXISTS (SELECT 1 FROM messages m WHERE m.id = :message_id AND m.conversation_id = :conversation_id)
            """
    )

    // The sums without their ledger: earlier use elsewhere is reported, and not billed again.
    private static let usageTotals = FlatEntity(
        ExportedEntity(
            name: "usage_total",
            table: "usage_totals",
            columns: [
                ExportedColumn("user_id", .person), ExportedColumn("day", .day), ExportedColumn("model", .text),
                ExportedColumn("messages", .usage), ExportedColumn("tokens_in", .usage),
                ExportedColumn("tokens_out", .usage), ExportedColumn("tokens_total", .usage),
            ]
        ),
        key: ["day", "model"],
        scope: "user_id = :owner",
        condition: ":user_id = :owner"
    )

    static let all = [tags, conversationTags, votes, usageTotals]
    static let statements = all.flatMap { [$0.page, $0.insert] + [$0.insertAlone].compactMap(\.self) }
}
