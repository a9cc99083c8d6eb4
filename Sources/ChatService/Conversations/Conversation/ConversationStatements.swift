// SQL of conversations. Statements that append messages are in ConversationCounters.swift.
import Storage

enum ConversationStatements {
    /// What a list reads: everything but the JSON that sits last in the row.
    static let summaryColumns = """
        id, owner_id, title, title_source, model, slug, visibility, pinned_at, archived_at, archive_reason, \
        forked_from_conversation_id, forked_from_message_id, head_message_id, last_seq, message_count, \
        tokens_in, tokens_out, last_message_at, created_at, updated_at, version, \
        \(TagStatements.names)
        """
    static let columns = summaryColumns + ", settings, metadata"

    // Without a conflict target: an id or a slug that is taken is no row, either way.
    static let insert = Statement(
        "conversations.insert",
        .writes,
        [.text, .text, .text, .text, .text, .text, .text, .instant, .integer, .text, .text, .words],
        """
        INSERT INTO conversations
            (id, owner_id, title, title_source, model, slug, visibility, created_at, updated_at, version,
             settings, metadata, search)
        SELECT $1, principals.id, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12
        FROM principals WHERE principals.id = $2 AND \(Principals.mayWrite("$2"))
        ON CONFLICT DO NOTHING
        RETURNING \(columns)
        """
    )

    static let get = Statement(
        "conversations.get",
        .reads,
        [.text, .text],
        "SELECT \(columns) FROM conversations WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL"
    )

    /// Kept, or in the trash since after `$3`.
    static let made = Statement(
        "conversations.made",
        .reads,
        [.text, .text, .instant],
        """
        SELECT \(columns), deleted_at FROM conversations
        WHERE id = $1 AND owner_id = $2 AND version > 0 AND (deleted_at IS NULL OR deleted_at > $3)
        """
    )

    static let isVisible = Statement(
        "conversations.is_visible",
        .reads,
        [.text, .text],
        "SELECT id, message_count FROM conversations WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL"
    )

    /// Whether an id is taken by anybody, trash included.
    static let isTaken = Statement(
        "conversations.is_taken",
        .reads,
        [.text],
        "SELECT id FROM conversations WHERE id = $1"
    )

    static let slugHolder = Statement(
        "conversations.slug_holder",
        .reads,
        [.text, .text],
        "SELECT id FROM conversations WHERE owner_id = $1 AND slug = $2 AND deleted_at IS NULL"
    )

    static let filter = """
        owner_id = $1 AND deleted_at IS NULL
            AND ($2 IS NULL OR (archived_at IS NOT NULL) = $2)
            AND ($3 IS NULL OR (pinned_at IS NOT NULL) = $3)
        """

    /// The part of an owner's conversations that a list walks: each has an index of its own in the list's order, so that a
    /// few pinned ones among very many are one range.
    enum Part: String {
        case all, archived, pinned

        init(archived: Bool?, pinned: Bool?) {
            self = pinned == true ? .pinned : archived == true ? .archived : .all
        }

        /// With the index's own words, which neither planner derives from a parameter. The parameter that is known to be
        /// TRUE says nothing more, and the other one is in a CASE, since PostgreSQL takes an OR of it for one row in two
        /// hundred, and would rather sort the few that it expects than walk the range.
        fileprivate var filter: String {
            let own = "owner_id = $1 AND deleted_at IS NULL"
            switch self {
            case .all: return ConversationStatements.filter
            case .archived:
                return "\(own) AND archived_at IS NOT NULL AND $2 IS NOT NULL AND \(Self.asked("$3", "pinned_at"))"
            case .pinned:
                return "\(own) AND pinned_at IS NOT NULL AND $3 IS NOT NULL AND \(Self.asked("$2", "archived_at"))"
            }
        }

        private static func asked(_ parameter: String, _ column: String) -> String {
            "CASE WHEN \(parameter) IS NULL OR (\(column) IS NOT NULL) = \(parameter) THEN 1 END IS NOT NULL"
        }

        fileprivate var suffix: String { self == .all ? "" : "_\(rawValue)" }
    }

    /// A statement for each part.
    struct Parts {
        let all: Statement
        let archived: Statement
        let pinned: Statement

        fileprivate init(_ make: (Part) -> Statement) {
            all = make(.all)
            archived = make(.archived)
            pinned = make(.pinned)
        }

        subscript(part: Part) -> Statement {
            switch part {
            case .all: all
            case .archived: archived
            case .pinned: pinned
            }
        }

        fileprivate var list: [Statement] { [all, archived, pinned] }
    }

    static let older = Parts { part in
        Statement(
            "conversations.older\(part.suffix)",
            .reads,
            [.text, .boolean, .boolean, .instant, .text, .integer],
            """
            SELECT \(summaryColumns) FROM conversations
            WHERE \(part.filter) AND (updated_at, id) < ($4, $5)
            ORDER BY updated_at DESC, id DESC LIMIT $6
            """
        )
    }

    static let newer = Parts { part in
        Statement(
            "conversations.newer\(part.suffix)",
            .reads,
            [.text, .boolean, .boolean, .instant, .text, .integer],
            """
            SELECT \(summaryColumns) FROM conversations
            WHERE \(part.filter) AND (updated_at, id) > ($4, $5)
            ORDER BY updated_at, id LIMIT $6
            """
        )
    }

    static let count = Parts { part in
        Statement(
            "conversations.count\(part.suffix)",
            .reads,
            [.text, .boolean, .boolean],
            "SELECT COUNT(*) AS total FROM conversations WHERE \(part.filter)"
        )
    }

    /// A page by its number. What is skipped is read, which is why there is an end to it.
    static let numbered = Parts { part in
        Statement(
            "conversations.numbered\(part.suffix)",
            .reads,
            [.text, .boolean, .boolean, .integer, .integer],
            """
            SELECT \(summaryColumns) FROM conversations
            WHERE \(part.filter) ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5
            """
        )
    }

    /// Whether a conversation of the owner `$1` has the tag `key`.
    static func hasTag(_ key: String) -> String {
        """
        id IN (
            SELECT ct.conversation_id FROM tags t JOIN conversation_tags ct ON ct.tag_id = t.id
            WHERE t.owner_id = $1 AND t.name_key = \(key)
        )
        """
    }

    // Where few have the tag `$7`, they are found first, each by its id, and put in order. Where many have it, the owner's
    // range is walked, and the page is full soon. Statistics decide neither well: a tag is not like the other tags, and one
    // guess for all of them walks a hundred thousand rows for a single one.
    private static func taggedPage(_ name: String, _ types: [SQLType], _ tag: String, _ rest: String) -> (
        few: Statement, many: Statement
    ) {
        let few = Statement(
            "\(name)_few",
            .reads,
            types,
            // OFFSET 0: planned by itself, so nothing but a look for each id is left. A range in place of "=": of that
            // PostgreSQL expects few rows even where it knows of a single tag, which everything has.
            postgres: """
                SELECT \(summaryColumns) FROM (
                    SELECT ct.conversation_id FROM conversation_tags ct
                    WHERE ct.tag_id >= \(tag) AND ct.tag_id <= \(tag) OFFSET 0
                ) AS tagged
                JOIN LATERAL (
                    SELECT * FROM conversations c WHERE c.id = tagged.conversation_id OFFSET 0
                ) AS conversations ON TRUE
                WHERE \(filter) \(rest)
                """,
            // CROSS JOIN: in this order (https://www.sqlite.org/optoverview.html#crossjoin). The + keeps the first term of
            // the filter, and so the owner's range, out of the choice of an index.
            sqlite: """
                SELECT \(summaryColumns) FROM conversation_tags tagged
                CROSS JOIN conversations ON conversations.id = tagged.conversation_id
                WHERE tagged.tag_id = \(tag) AND +\(filter) \(rest)
                """
        )
        let many = Statement(
            "\(name)_many",
            .reads,
            types,
            """
            SELECT \(summaryColumns) FROM conversations
            WHERE \(filter) AND EXISTS (
                SELECT 1 FROM conversation_tags ct
                WHERE ct.tag_id = \(tag) AND ct.conversation_id = conversations.id LIMIT 1 OFFSET 0
            ) \(rest)
            """
        )
        return (few, many)
    }

    static let olderTagged = taggedPage(
        "conversations.older_tagged",
        [.text, .boolean, .boolean, .instant, .text, .integer, .text],
        "$7",
        "AND (updated_at, id) < ($4, $5) ORDER BY updated_at DESC, id DESC LIMIT $6"
    )

    static let newerTagged = taggedPage(
        "conversations.newer_tagged",
        [.text, .boolean, .boolean, .instant, .text, .integer, .text],
        "$7",
        "AND (updated_at, id) > ($4, $5) ORDER BY updated_at, id LIMIT $6"
    )

    static let numberedTagged = taggedPage(
        "conversations.numbered_tagged",
        [.text, .boolean, .boolean, .integer, .integer, .text],
        "$6",
        "ORDER BY updated_at DESC, id DESC LIMIT $4 OFFSET $5"
    )

    static let countTagged = Statement(
        "conversations.count_tagged",
        .reads,
        [.text, .boolean, .boolean, .text],
        "SELECT COUNT(*) AS total FROM conversations WHERE \(filter) AND \(hasTag("$4"))"
    )

    // Pairs of (is it set, to what); where NULL cannot be stored, NULL means "leave it".
    static let change = Statement(
        "conversations.change",
        .writes,
        [
            .text, .text, .integer, .instant, .boolean, .text, .boolean, .text, .boolean, .text, .text, .boolean,
            .boolean, .text, .boolean, .text, .text, .text, .words,
        ],
        """
        UPDATE conversations SET
            title = CASE WHEN $5 THEN $6 ELSE title END,
            search = CASE WHEN $5 THEN $19 ELSE search END,
            title_source = CASE WHEN $5 THEN 'user' ELSE title_source END,
            model = CASE WHEN $7 THEN $8 ELSE model END,
            slug = CASE WHEN $9 THEN $10 ELSE slug END,
            visibility = COALESCE($11, visibility),
            archived_at = CASE WHEN $12 IS NULL THEN archived_at WHEN $12 THEN COALESCE(archived_at, $4) END,
            archive_reason = CASE
                WHEN $12 = FALSE OR ($12 IS NULL AND archived_at IS NULL) THEN NULL
                WHEN $13 THEN $14
                ELSE archive_reason
            END,
            pinned_at = CASE WHEN $15 IS NULL THEN pinned_at WHEN $15 THEN COALESCE(pinned_at, $4) END,
            settings = COALESCE($16, settings),
            metadata = COALESCE($17, metadata),
            head_message_id = COALESCE($18, head_message_id),
            updated_at = $4,
            version = version + 1
        WHERE id = $1 AND owner_id = $2 AND deleted_at IS NULL AND ($3 IS NULL OR version = $3)
            AND \(Principals.mayWrite("$2"))
            AND ($10 IS NULL OR NOT EXISTS (
                SELECT 1 FROM conversations o
                WHERE o.owner_id = $2 AND o.slug = $10 AND o.id <> $1 AND o.deleted_at IS NULL
            ))
            AND ($18 IS NULL OR EXISTS (
                SELECT 1 FROM messages m WHERE m.id = $18 AND m.conversation_id = $1 AND m.deleted_at IS NULL
            ))
        RETURNING \(columns)
        """
    )

    static let all =
        [insert, get, made, isVisible, isTaken, slugHolder, countTagged, change]
        + [older, newer, count, numbered].flatMap(\.list)
        + [olderTagged, newerTagged, numberedTagged].flatMap { [$0.few, $0.many] }
        + ConversationCounters.all + TrashStatements.all + ForkStatements.all
}
