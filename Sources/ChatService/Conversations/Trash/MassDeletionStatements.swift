// SQL of mass deletion: a part of an owner's conversations is walked once, batch by batch, in the order of its index.
import ServiceKit
import Storage

enum MassDeletionStatements {
    /// The conversations that are walked.
    enum Part: String {
        case live
        case inTrash = "in_trash"

        fileprivate var state: ConversationState { self == .live ? .live : .inTrash }

        /// The time that the index of the part begins with.
        fileprivate var time: String { self == .live ? "updated_at" : "deleted_at" }
    }

    /// What becomes of them.
    enum Target: String {
        case trashed, ended

        fileprivate var assignments: String {
            switch self {
            case .trashed: "deleted_at = :now, updated_at = :now, version = version + 1"
            case .ended: "deleted_at = :now, version = \(ConversationState.versions.ended)"
            }
        }
    }

    /// An owner's choice, and until when a conversation must have been made.
    struct Chosen: Sendable {
        let owner: String
        let choice: Trash.Choice
        let madeUntil: Instant

        fileprivate var values: StatementValues {
            [
                "owner": owner, "tag": choice.tag?.key, "archived": choice.archived, "before": choice.before,
                "made_until": madeUntil,
            ]
        }
    }

    private static let parameters: StatementParameters = [
        "owner": .text, "tag": .text, "archived": .boolean, "before": .instant, "made_until": .instant,
        "after": .instant, "after_id": .text,
    ]

    private static func isChosen(part: Part) -> String {
        """
        o.owner_id = :owner AND \(part.state.sql("o")) AND (o.\(part.time), o.id) > (:after, :after_id)
            AND o.created_at <= :made_until
            AND (:archived IS NULL OR (o.archived_at IS NOT NULL) = :archived)
            AND (:before IS NULL OR o.updated_at < :before)
            AND (:tag IS NULL OR EXISTS (
                SELECT 1 FROM conversation_tags ct JOIN tags t ON t.id = ct.tag_id
                WHERE ct.conversation_id = o.id AND t.owner_id = :owner AND t.name_key = :tag
            ))
        """
    }

    private static let newest = Statement(
        "mass_deletion.newest",
        .reads,
        ["owner": .text],
        "SELECT MAX(created_at) AS newest FROM conversations WHERE owner_id = :owner"
    )

    /// When the newest conversation of an owner is said to have been made.
    static func newest(of owner: String) -> BoundStatement { newest.bind(["owner": owner]) }

    private static func batch(of part: Part) -> Statement {
        Statement(
            "mass_deletion.batch_\(part.rawValue)",
            .reads,
            parameters + ["limit": .integer],
            """
            SELECT o.\(part.time) AS place, o.id FROM conversations o WHERE \(isChosen(part: part))
            ORDER BY o.\(part.time), o.id LIMIT :limit
            """
        )
    }

    private static let liveBatch = batch(of: .live)
    private static let trashBatch = batch(of: .inTrash)

    /// The next of the chosen conversations behind a place.
    static func batch(of part: Part, chosen: Chosen, after place: Cursor) -> BoundStatement {
        let statement = part == .live ? liveBatch : trashBatch
        return statement.bind(
            chosen.values + ["after": place.instant, "after_id": place.id, "limit": Trash.batchSize]
        )
    }

    private static func change(part: Part, to target: Target) -> Statement {
        Statement(
            "mass_deletion.\(part.rawValue)_\(target.rawValue)",
            .writes,
            parameters + ["through": .instant, "through_id": .text, "now": .instant]
        ) { engine in
            let batch = """
                SELECT o.id FROM conversations o
                WHERE \(isChosen(part: part)) AND (o.\(part.time), o.id) <= (:through, :through_id)
                """
            return """
                UPDATE conversations SET \(target.assignments)
                WHERE \(OnePlan.among("id", batch, engine)) AND \(part.state.sql(of: ":owner"))
                    AND \(Principals.mayWrite(principal: ":owner"))
                """
        }
    }

    private static let trashLive = change(part: .live, to: .trashed)
    private static let endLive = change(part: .live, to: .ended)
    private static let endTrash = change(part: .inTrash, to: .ended)

    /// Changes the chosen conversations from one place to another.
    static func change(
        part: Part,
        to target: Target,
        chosen: Chosen,
        after place: Cursor,
        through end: Cursor,
        at now: Instant
    ) -> BoundStatement {
        let statement = part == .inTrash ? endTrash : target == .ended ? endLive : trashLive
        return statement.bind(
            chosen.values + [
                "after": place.instant, "after_id": place.id, "through": end.instant, "through_id": end.id,
                "now": now,
            ]
        )
    }

    static let all = [newest, liveBatch, trashBatch, trashLive, endLive, endTrash]
}
