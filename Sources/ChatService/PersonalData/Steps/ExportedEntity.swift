// The entities of an export: a table's columns by name and kind, by which lines are written and read and rows inserted.
// A table joins the export with a `FlatExport` beside the statements of its area.
//
// A line is a JSON object: `entity`, then the columns by name. Stored JSON is copied as it is. If it contains a line
// break, which would end the line, it is a string in a member `<column>_text`.
import ServiceKit
import Storage

struct ExportedColumn: Sendable {
    enum Kind: Sendable {
        /// An id in the form of `RowID`.
        case id
        /// The id of a person. An import replaces the exported person by its own.
        case person
        case text, boolean, instant
        /// A day of UTC, as 2026-11-21.
        case day
        case integer(ClosedRange<Int64>)
        /// A sum of usage. A correction may have left it below zero; a credit counts as zero.
        case usage
        /// JSON, byte for byte.
        case object, array
    }

    /// SECURITY: a file may contain anything. The limits leave room for later additions, and for sums over thousands of
    /// people.
    enum Bounds {
        /// `seq`, and counts of messages.
        static let numbers: ClosedRange<Int64> = 0...Int64(Int32.max)
        static let sums: ClosedRange<Int64> = 0...1_000_000_000_000_000
        static let versions = sums
        /// Of one day and model: a file may have millions of them.
        static let usage: ClosedRange<Int64> = 0...1_000_000_000_000
    }

    let name: String
    let kind: Kind

    init(_ name: String, _ kind: Kind) {
        self.name = name
        self.kind = kind
    }

    var type: SQLType {
        switch kind {
        case .id, .person, .text, .day, .object, .array: .text
        case .integer, .usage: .integer
        case .boolean: .boolean
        case .instant: .instant
        }
    }
}

struct ExportedEntity: Sendable {
    let name: String
    let columns: [ExportedColumn]

    /// For a SELECT.
    var columnList: String { columns.map(\.name).joined(separator: ", ") }
    /// Each column is a parameter of its name.
    var parameters: StatementParameters { StatementParameters(columns.map { ($0.name, $0.type) }) }
    /// A missing column is NULL.
    func values(of row: [String: SQLValue]) -> StatementValues {
        StatementValues(columns.map { ($0.name, row[$0.name] ?? .null) })
    }
    /// For an INSERT, in the order of `columnList`.
    var parameterList: String { columns.map { ":\($0.name)" }.joined(separator: ", ") }

    /// With its line feed.
    func write(_ row: Row, to out: inout [UInt8]) throws(StorageError) {
        var writer = JSONWriter(reserving: 512)
        do {
            try writer.object { writer in
                writer.field("entity", name)
                for column in columns { try Self.write(column, row, to: &writer) }
            }
        } catch let error as StorageError {
            throw error
        } catch {
            throw .invalidRow(column: name)
        }
        out += writer.bytes
        out.append(0x0A)
    }

    private static func write(_ column: ExportedColumn, _ row: Row, to writer: inout JSONWriter) throws {
        let name = column.name
        switch column.kind {
        case .id, .person, .text, .day:
            try writer.optionalText(name, of: row)
        case .integer, .usage:
            try writer.optionalInteger(name, of: row)
        case .boolean:
            let value = try row.optionalBoolean(name)
            writer.member(RequestText(name), raw: value.map { $0 ? "true" : "false" } ?? "null")
        case .instant:
            try writer.optionalInstant(name, of: row)
        case .object, .array:
            try row.withOptionalText(name) { json in
                guard let json else { return writer.member(RequestText(name), raw: "null") }
                if Self.holdsLineBreak(json) {
                    writer.key(named: name + "_text") { $0.string(json) }
                } else {
                    writer.key(named: name) { $0.raw(json) }
                }
            }
        }
    }

    private static func holdsLineBreak(_ text: UTF8Span) -> Bool {
        text.span.withUnsafeBufferPointer { $0.contains { $0 == 0x0A || $0 == 0x0D } }
    }

    func row(_ line: JSONElement, person: (String) -> String) throws(ImportRefusal) -> [String: SQLValue] {
        var row: [String: SQLValue] = [:]
        for column in columns { row[column.name] = try value(column, line, person) }
        return row
    }

    private func value(
        _ column: ExportedColumn,
        _ line: JSONElement,
        _ person: (String) -> String
    ) throws(ImportRefusal) -> SQLValue {
        let wrong = ImportRefusal("\(name).\(column.name) is not what an export has there")
        switch column.kind {
        case .object, .array: return try json(column, line, wrong)
        default: break
        }
        guard let element = line[column.name], !element.isNull else { return .null }
        switch column.kind {
        case .id:
            guard let id = element.text, RowID.isValid(id) else { throw wrong }
            return .text(id.verbatim)
        case .person:
            guard let id = element.text, RowID.isValid(id) else { throw wrong }
            return .text(person(id.verbatim))
        case .text:
            guard let text = element.text else { throw wrong }
            return text.sqlValue
        case .day:
            guard let day = element.text, day.byteCount == 10, Instant(rfc3339: day.verbatim + "T00:00:00Z") != nil
            else {
                throw wrong
            }
            return day.sqlValue
        case .integer(let range):
            guard let integer = element.integer, range.contains(integer) else { throw wrong }
            return .integer(integer)
        case .usage:
            let bound = ExportedColumn.Bounds.usage.upperBound
            guard let integer = element.integer, (-bound...bound).contains(integer) else {
                throw wrong
            }
            return .integer(max(0, integer))
        case .boolean:
            guard let boolean = element.boolean else { throw wrong }
            return .boolean(boolean)
        case .instant:
            guard let instant = element.text.flatMap({ Instant(rfc3339: $0.verbatim) }) else { throw wrong }
            return .instant(instant)
        case .object, .array: throw wrong
        }
    }

    private func json(
        _ column: ExportedColumn,
        _ line: JSONElement,
        _ wrong: ImportRefusal
    ) throws(ImportRefusal) -> SQLValue {
        let element: JSONElement
        let raw: String
        if let text = line[column.name + "_text"] {
            guard let json = text.text?.verbatim, let parsed = try? JSONElement.parse(json) else { throw wrong }
            (element, raw) = (parsed, json)
        } else {
            guard let inPlace = line[column.name] else { throw wrong }
            (element, raw) = (inPlace, inPlace.raw)
        }
        switch column.kind {
        case .object: guard element.object != nil else { throw wrong }
        default: guard element.array != nil else { throw wrong }
        }
        return .text(raw)
    }
}

package struct ImportRefusal: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
