// A patch of a message's token counts, for the statements that bill it and that apply it.
import ServiceKit
import Storage

struct TokenChange: Sendable {
    let conversation: String
    let owner: String
    let message: String
    /// The required version; `nil` for any.
    let expected: Int64?
    let tokensIn: Patch<Int64>
    let tokensOut: Patch<Int64>
    let tokensTotal: Patch<Int64>
    /// An increase is billed to it: a client sets model and counts together, at the end of a stream.
    let model: Patch<RequestText>

    /// All but the total.
    static let partParameters: StatementParameters = [
        "conversation": .text, "owner": .text, "message": .text, "expected": .integer, "sets_in": .boolean,
        "in": .integer, "sets_out": .boolean, "out": .integer,
    ]
    static let parameters: StatementParameters =
        partParameters + ["sets_total": .boolean, "total": .integer, "sets_model": .boolean, "model": .text]

    var partValues: StatementValues {
        [
            "conversation": conversation, "owner": owner, "message": message, "expected": expected,
            "sets_in": tokensIn.isPresent, "in": tokensIn.value, "sets_out": tokensOut.isPresent,
            "out": tokensOut.value,
        ]
    }
    var values: StatementValues {
        partValues + [
            "sets_total": tokensTotal.isPresent, "total": tokensTotal.value, "sets_model": model.isPresent,
            "model": model.value,
        ]
    }

    /// Whether a table's row is the message, which is live.
    static func isTarget(_ table: String) -> String {
        """
        \(table).id = :message AND \(MessageState.live.sql(in: ":conversation", table))
            AND (:expected IS NULL OR \(table).version = :expected)
        """
    }

    static func model(_ table: String) -> String { "CASE WHEN :sets_model THEN :model ELSE \(table).model END" }

    static func tokensIn(_ table: String) -> String { "CASE WHEN :sets_in THEN :in ELSE \(table).tokens_in END" }

    static func tokensOut(_ table: String) -> String { "CASE WHEN :sets_out THEN :out ELSE \(table).tokens_out END" }

    /// A total that is not given is the sum of the two, as for a new message.
    static func tokensTotal(_ table: String) -> String {
        let parts = (tokensIn(table), tokensOut(table))
        return """
            CASE WHEN :sets_total THEN :total
                WHEN (:sets_in OR :sets_out) AND (\(parts.0)) IS NULL AND (\(parts.1)) IS NULL THEN NULL
                WHEN :sets_in OR :sets_out THEN COALESCE(\(parts.0), 0) + COALESCE(\(parts.1), 0)
                ELSE \(table).tokens_total
            END
            """
    }
}
