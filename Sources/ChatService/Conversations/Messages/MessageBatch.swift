// How many messages one transaction rewrites or removes: up to 500 of them, and up to half a megabyte.
//
// A transaction delays the others of its worker, or on SQLite of the one writer, and it costs by the byte: five hundred
// small messages take milliseconds, five hundred of a megabyte seconds. So a batch is walked message by message with a
// running sum, and ends with the message that passes either limit. Only the batch is measured; SQLite would read all
// other messages for their lengths.
import Storage

enum MessageBatch {
    static let rows: Int64 = 500
    static let bytes: Int64 = 512 << 10

    /// Whether another message is too much for a batch that has so many, where it would have so many bytes with it.
    static func isFull(_ rows: Int64, bytes: Int64) -> Bool { rows >= Self.rows || bytes > Self.bytes }

    /// `parts` and text of a message, in bytes.
    static func octets(_ table: String, _ engine: SQLEngine) -> String {
        let text = engine.octets(of: "\(table).content_text")
        return "\(engine.octets(of: "\(table).parts")) + COALESCE(\(text), 0)"
    }

    /// A `batch (id, place, next, bytes, number)` for a `WITH RECURSIVE`. `next` is the first message that is not in
    /// it, in the row of the last that is. `first` selects the id of the first message, `next` that of the message
    /// after a table's row.
    static func rows(
        _ engine: SQLEngine,
        first: String,
        next: (_ table: String) -> String,
        atMost: String = "\(rows)"
    ) -> String {
        """
        batch (id, place, next, bytes, number) AS (
            SELECT n.id, n.seq, (\(next("n"))), \(octets("n", engine)), 1 FROM messages n WHERE n.id = (\(first))
            UNION ALL
            SELECT n.id, n.seq, (\(next("n"))), batch.bytes + \(octets("n", engine)), batch.number + 1
            FROM batch \(OnePlan.each("messages", as: "n", where: "n.id = batch.next", engine))
            WHERE batch.number < \(atMost) AND batch.bytes < \(bytes)
        )
        """
    }

    /// A batch of all messages of a few conversations, in the order of their ids: always the same ones while nothing
    /// changes.
    static func rows(_ engine: SQLEngine, of conversations: String, atMost: String = "\(rows)") -> String {
        func first(past id: String?) -> String {
            """
            SELECT m.id FROM messages m WHERE m.conversation_id = (
                SELECT MIN(few.id) FROM few
                WHERE EXISTS (SELECT 1 FROM messages x WHERE x.conversation_id = few.id LIMIT 1 OFFSET 0)
                    \(id.map { "AND few.id > \($0)" } ?? "")
            ) ORDER BY m.seq DESC LIMIT 1
            """
        }
        let batch = rows(
            engine,
            first: first(past: nil),
            next: { table in
                """
                SELECT COALESCE(
                    (SELECT m.id FROM messages m
                     WHERE m.conversation_id = \(table).conversation_id AND m.seq < \(table).seq
                     ORDER BY m.seq DESC LIMIT 1),
                    (\(first(past: "\(table).conversation_id")))
                )
                """
            },
            atMost: atMost
        )
        return "WITH RECURSIVE few (id) AS (\(conversations)), \(batch)"
    }
}
