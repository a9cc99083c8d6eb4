// A page of messages has a limit in bytes (`ConversationLimits.page`), since a hundred messages may be 800 MiB.
//
// Most pages need no measuring: if no message exceeds its share, the page is within the limit. So the fast statement
// omits the content of larger messages. Only if it did, the measured one runs: it returns the content of the first
// message and of the next ones up to the limit. The page ends there, and says that there is more.
import ServiceKit
import Storage

/// The four statements of one kind of page: fast and measured, each with and without siblings.
struct MessagePage: Sendable {
    private let fast: (plain: Statement, siblings: Statement)
    private let measured: (plain: Statement, siblings: Statement)

    /// - `parameters`: all but `:limit` and `:bytes`.
    /// - `order`: the order of `place`.
    /// - `page`: a `WITH` whose `page` has the ids and places of the page's messages.
    /// - `select`: returns the page, with columns of the table `messages`.
    init(
        _ name: String,
        _ parameters: StatementParameters,
        order: String,
        page: (SQLEngine) -> String,
        _ select: (_ columns: String, SQLEngine) -> String
    ) {
        let parameters = parameters + ["limit": .integer, "bytes": .integer]
        let bySequence = order.replacing("place", with: "seq")
        func fast(_ siblings: Bool) -> Statement {
            Statement(siblings ? "\(name)_with_siblings" : name, .reads, parameters) { engine in
                let columns = MessageStatements.columns(contentIf: "\(engine.octets(of: "parts")) <= :bytes")
                guard siblings else { return select(columns, engine) }
                return MessageSiblings.page(columns, of: select("messages.*", engine), order: bySequence)
            }
        }
        func measured(_ siblings: Bool) -> Statement {
            let own = siblings ? "\(name)_with_siblings_measured" : "\(name)_measured"
            return Statement(own, .reads, parameters) { engine in
                func rows(_ columns: String) -> String {
                    """
                    \(page(engine)), summed (message, place, bytes, total) AS (
                        SELECT page.message, page.place, \(engine.octets(of: "m.parts")),
                            SUM(\(engine.octets(of: "m.parts"))) OVER (ORDER BY page.\(order) ROWS UNBOUNDED PRECEDING)
                        FROM page \(OnePlan.each("messages", as: "m", where: "m.id = page.message", engine))
                    )
                    SELECT \(columns) FROM summed
                    \(OnePlan.each("messages", as: "messages", where: "messages.id = summed.message", engine))
                    ORDER BY summed.\(order)
                    """
                }
                func columns(_ table: String) -> String {
                    MessageStatements.columns(
                        contentIf: "\(table).total <= :bytes OR \(table).total = \(table).bytes"
                    )
                }
                guard siblings else { return rows(columns("summed")) }
                return MessageSiblings.page(
                    columns("messages"),
                    of: rows("messages.*, summed.total, summed.bytes"),
                    order: bySequence
                )
            }
        }
        self.fast = (fast(false), fast(true))
        self.measured = (measured(false), measured(true))
    }

    var statements: [Statement] { [fast.plain, fast.siblings, measured.plain, measured.siblings] }

    /// Fast first, then measured if necessary.
    enum Pass: CaseIterable {
        case fast, measured
    }

    /// `values`: of the statement's own parameters.
    func read(pass: Pass, siblings: Bool, limit: Int64, values: StatementValues) -> BoundStatement {
        let (both, bytes) =
            pass == .fast ? (fast, ConversationLimits.page / limit) : (measured, ConversationLimits.page)
        let statement = siblings ? both.siblings : both.plain
        return statement.bind(values + ["limit": limit, "bytes": bytes])
    }

    /// `nil` if the page must be measured.
    static func page(
        _ result: SQLResult,
        of conversation: String,
        _ request: PageRequest,
        _ pass: Pass,
        siblings: Bool,
        cursor: (Message) -> Cursor
    )
        throws(StorageError) -> Page<Message>?
    {
        var messages: [Message] = []
        messages.reserveCapacity(result.rows.count)
        for row in result.rows {
            if let message = try Message(ofPage: row, in: conversation, withSiblings: siblings) {
                messages.append(message)
            } else if pass == .fast {
                return nil
            } else {
                return Page(fetched: messages, request: request, isCut: true, cursor: cursor)
            }
        }
        return Page(fetched: messages, request: request, cursor: cursor)
    }
}
