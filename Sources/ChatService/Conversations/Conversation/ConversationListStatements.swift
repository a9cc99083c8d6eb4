import ServiceKit
import Storage

enum ConversationListStatements {
    struct Filter: Sendable {
        let owner: String
        let archived: Bool?
        let pinned: Bool?

        var values: StatementValues { ["owner": owner, "archived": archived, "pinned": pinned] }

        fileprivate var part: Part { Part(archived: archived, pinned: pinned) }
    }

    /// Where a page begins: after a cursor, or at a row's number.
    enum Place: Sendable {
        case older(than: Cursor)
        case newer(than: Cursor)
        /// Skipped rows are read, so there is a limit.
        case offset(Int64)
    }

    static let parameters: StatementParameters = ["owner": .text, "archived": .boolean, "pinned": .boolean]

    static let filter = """
        owner_id = :owner AND \(ConversationState.live.sql()) AND \(isAsked(by: ":archived", of: "archived_at"))
            AND \(isAsked(by: ":pinned", of: "pinned_at"))
        """

    /// Each part has an index in the list's order, so that a few pinned ones among very many are one range.
    private static func isAsked(by parameter: String, of column: String) -> String {
        "CASE WHEN \(parameter) IS NULL OR (\(column) IS NOT NULL) = \(parameter) THEN 1 END IS NOT NULL"
    }

    /// The part of an owner's conversations that a list walks: each has an index of its own in the list's order, so
    /// that a few pinned ones among very many are one range.
    fileprivate enum Part: String {
        case all, archived, pinned

        init(archived: Bool?, pinned: Bool?) {
            self = pinned == true ? .pinned : archived == true ? .archived : .all
        }

        /// In the index's own words, which neither planner derives from a parameter. A parameter that is TRUE adds
        /// nothing. The other one is in a CASE: PostgreSQL estimates an OR of it at one row in two hundred, and would
        /// sort instead of walking the range.
        var filter: String {
            let own = "owner_id = :owner AND \(ConversationState.live.sql())"
            switch self {
            case .all: return ConversationListStatements.filter
            case .archived:
                let pinned = ConversationListStatements.isAsked(by: ":pinned", of: "pinned_at")
                return "\(own) AND archived_at IS NOT NULL AND :archived IS NOT NULL AND \(pinned)"
            case .pinned:
                let archived = ConversationListStatements.isAsked(by: ":archived", of: "archived_at")
                return "\(own) AND pinned_at IS NOT NULL AND :pinned IS NOT NULL AND \(archived)"
            }
        }

        var suffix: String { self == .all ? "" : "_\(rawValue)" }
    }

    private struct Parts {
        let all: Statement
        let archived: Statement
        let pinned: Statement

        init(_ make: (Part) -> Statement) {
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

        var list: [Statement] { [all, archived, pinned] }
    }

    private static func page(name: String, parameters: StatementParameters, rest: String) -> Parts {
        Parts { part in
            Statement(
                "\(name)\(part.suffix)",
                .reads,
                Self.parameters + parameters,
                "SELECT \(ConversationStatements.summaryColumns) FROM conversations\nWHERE \(part.filter) \(rest)"
            )
        }
    }

    static let cursor: StatementParameters = ["instant": .instant, "id": .text, "limit": .integer]
    static let offset: StatementParameters = ["limit": .integer, "offset": .integer]

    static let beforeCursor =
        "AND (updated_at, id) < (:instant, :id)\nORDER BY updated_at DESC, id DESC LIMIT :limit"
    static let afterCursor = "AND (updated_at, id) > (:instant, :id)\nORDER BY updated_at, id LIMIT :limit"
    static let atOffset = "ORDER BY updated_at DESC, id DESC LIMIT :limit OFFSET :offset"

    private static let older = page(name: "conversations.older", parameters: cursor, rest: beforeCursor)
    private static let newer = page(name: "conversations.newer", parameters: cursor, rest: afterCursor)
    private static let numbered = page(name: "conversations.numbered", parameters: offset, rest: atOffset)

    static func page(of filter: Filter, at place: Place, limit: Int64) -> BoundStatement {
        let statements: Parts =
            switch place {
            case .older: older
            case .newer: newer
            case .offset: numbered
            }
        return statements[filter.part].bind(filter.values + place.values(limit: limit))
    }

    private static let count = Parts { part in
        Statement(
            "conversations.count\(part.suffix)",
            .reads,
            parameters,
            "SELECT COUNT(*) AS total FROM conversations WHERE \(part.filter)"
        )
    }

    static func count(of filter: Filter) -> BoundStatement { count[filter.part].bind(filter.values) }

    // MARK: With a tag

    /// The conversations with the owner's tag `key`.
    private static func tagged(key: String) -> String {
        """
        SELECT ct.conversation_id FROM conversation_tags ct WHERE ct.tag_id = (
            SELECT t.id FROM tags t WHERE t.owner_id = :owner AND t.name_key = \(key)
        )
        """
    }

    private struct Tagged {
        let few: Statement
        let many: Statement

        subscript(isOnFew: Bool) -> Statement { isOnFew ? few : many }
    }

    // A rare tag is looked up first, and the conversations are sorted. For a frequent tag the owner's range is walked
    // until the page is full. Statistics choose badly: one estimate for all tags walks a hundred thousand rows for a
    // single one.
    private static func taggedPage(name: String, parameters: StatementParameters, rest: String) -> Tagged {
        let parameters = Self.parameters + parameters + ["tag": .text]
        let few = Statement(
            "\(name)_few",
            .reads,
            parameters,
            // OFFSET 0: planned separately, so only a look-up per id remains. A range instead of "=": PostgreSQL then
            // expects few rows, even if it only knows a tag that everything has.
            postgres: """
                SELECT \(ConversationStatements.summaryColumns) FROM (
                    SELECT ct.conversation_id FROM conversation_tags ct
                    WHERE ct.tag_id >= :tag AND ct.tag_id <= :tag OFFSET 0
                ) AS tagged
                JOIN LATERAL (
                    SELECT * FROM conversations c WHERE c.id = tagged.conversation_id OFFSET 0
                ) AS conversations ON TRUE
                WHERE \(filter) \(rest)
                """,
            // CROSS JOIN: in this order (https://www.sqlite.org/optoverview.html#crossjoin). The + keeps the first term
            // of the filter, and so the owner's range, out of the choice of an index.
            sqlite: """
                SELECT \(ConversationStatements.summaryColumns) FROM conversation_tags tagged
                CROSS JOIN conversations ON conversations.id = tagged.conversation_id
                WHERE tagged.tag_id = :tag AND +\(filter) \(rest)
                """
        )
        let many = Statement(
            "\(name)_many",
            .reads,
            parameters,
            """
            SELECT \(ConversationStatements.summaryColumns) FROM conversations
            WHERE \(filter) AND EXISTS (
                SELECT 1 FROM conversation_tags ct
                WHERE ct.tag_id = :tag AND ct.conversation_id = conversations.id LIMIT 1 OFFSET 0
            ) \(rest)
            """
        )
        return Tagged(few: few, many: many)
    }

    private static let olderTagged = taggedPage(
        name: "conversations.older_tagged",
        parameters: cursor,
        rest: beforeCursor
    )
    private static let newerTagged = taggedPage(
        name: "conversations.newer_tagged",
        parameters: cursor,
        rest: afterCursor
    )
    private static let numberedTagged = taggedPage(
        name: "conversations.numbered_tagged",
        parameters: offset,
        rest: atOffset
    )

    /// A page for a tag, with a plan for few or many conversations.
    static func page(of filter: Filter, withTag tag: String, isOnFew: Bool, at place: Place, limit: Int64)
        -> BoundStatement
    {
        let statements: Tagged =
            switch place {
            case .older: olderTagged
            case .newer: newerTagged
            case .offset: numberedTagged
            }
        return statements[isOnFew].bind(filter.values + place.values(limit: limit) + ["tag": tag])
    }

    private static let countTagged = Statement(
        "conversations.count_tagged",
        .reads,
        parameters + ["tag_key": .text]
    ) { engine in
        let hasTag = OnePlan.among("id", tagged(key: ":tag_key"), engine)
        return "SELECT COUNT(*) AS total FROM conversations WHERE \(hasTag) AND \(OnePlan.check(filter))"
    }

    static func count(of filter: Filter, withTag name: TagName) -> BoundStatement {
        countTagged.bind(filter.values + ["tag_key": name.key])
    }

    static let all =
        [older, newer, count, numbered].flatMap(\.list)
        + [olderTagged, newerTagged, numberedTagged].flatMap { [$0.few, $0.many] } + [countTagged]
        + ConversationTitleStatements.all
}

extension ConversationListStatements.Place {
    func values(limit: Int64) -> StatementValues {
        switch self {
        case .older(let cursor), .newer(let cursor):
            ["instant": cursor.instant, "id": cursor.id, "limit": limit]
        case .offset(let offset): ["limit": limit, "offset": offset]
        }
    }
}
