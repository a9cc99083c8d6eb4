// The values of a line, and the rules that a column of it keeps.
import ServiceKit
import Storage

struct ImportedRow {
    let entity: String
    let values: [String: SQLValue]

    func refusal(_ column: String) -> ImportRefusal {
        ImportRefusal("\(entity).\(column) is not what an export has there")
    }

    func text(_ column: String) -> RequestText? {
        if case .text(let text)? = values[column] { RequestText(text) } else { nil }
    }

    func integer(_ column: String) -> Int64? {
        if case .integer(let integer)? = values[column] { integer } else { nil }
    }

    func instant(_ column: String) -> Instant? {
        if case .instant(let instant)? = values[column] { instant } else { nil }
    }

    /// Refuses columns that are empty.
    func require(_ columns: String...) throws(ImportRefusal) {
        for column in columns where values[column] ?? .null == .null { throw refusal(column) }
    }

    /// Refuses a text that is longer than `limit` scalars, or for which `holds` is false. One that is missing passes.
    func limit(
        _ column: String,
        to limit: Int,
        _ holds: (RequestText) -> Bool = { _ in true }
    ) throws(ImportRefusal) {
        guard let text = text(column) else { return }
        guard !text.hasMore(scalarsThan: limit), holds(text) else { throw refusal(column) }
    }

    /// Refuses JSON of more bytes than `limit`.
    func limit(_ column: String, toBytes limit: Int) throws(ImportRefusal) {
        if let text = text(column), text.byteCount > limit { throw refusal(column) }
    }

    /// Refuses a number that is out of a range. One that is missing passes.
    func limit(_ column: String, to range: ClosedRange<Int64>) throws(ImportRefusal) {
        if let integer = integer(column), !range.contains(integer) { throw refusal(column) }
    }

    /// Refuses a text that is not exactly the raw value of a case. One that is missing passes.
    func limit<Choice: RawRepresentable & CaseIterable>(
        _ column: String,
        to type: Choice.Type
    ) throws(ImportRefusal) where Choice.RawValue == String {
        guard let text = text(column) else { return }
        guard Choice.allCases.contains(where: { RequestText($0.rawValue) == text }) else { throw refusal(column) }
    }

    /// Refuses an id that is not the one given.
    func require(_ column: String, is id: String) throws(ImportRefusal) {
        guard text(column) == RequestText(id) else { throw refusal(column) }
    }

    /// Refuses times at which a list has no page: those of the last second of the year 9999.
    func limitInstants() throws(ImportRefusal) {
        for (column, value) in values {
            if case .instant(let instant) = value, instant > .farFuture { throw refusal(column) }
        }
    }
}
