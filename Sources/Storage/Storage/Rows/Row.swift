// Rows as an engine returned them, read by column name.
//
// SQLite has no boolean or timestamp type, so its integers become what the caller asks for; PostgreSQL returns typed
// values. The accessors accept both and throw for anything else: a wrong column is our mistake and must never read as
// an empty value.

/// The result of one statement of a transaction.
package struct SQLResult: Sendable {
    package let rows: [Row]
    /// Rows inserted, updated or deleted; for a read, the rows returned.
    package let affected: Int

    package init(rows: [Row], affected: Int) {
        self.rows = rows
        self.affected = affected
    }

    package var first: Row? { rows.first }
    package var isEmpty: Bool { rows.isEmpty }

    /// What the rows take in memory. They keep one block alive together.
    package var byteCount: Int { rows.first?.blockByteCount ?? 0 }
}

/// One row of a result.
package struct Row: Sendable {
    private let block: RowBlock
    private let start: Int

    init(_ block: RowBlock, start: Int) {
        self.block = block
        self.start = start
    }

    /// A row that no engine returned.
    package init(_ values: KeyValuePairs<String, any SQLBindable>) {
        let values = values.map { (column: $0, value: $1.sqlValue) }
        let texts = values.reduce(0) { size, pair in
            if case .text(let text) = pair.value { size + text.utf8.count } else { size }
        }
        var builder = RowBuilder(Columns(values.map(\.column)), rows: 1, bytes: texts)
        for pair in values { builder.append(pair.value) }
        self.init(builder.block(), start: 0)
    }

    package var columns: Columns { block.columns }

    fileprivate var blockByteCount: Int { block.bytes.count + block.cells.count * MemoryLayout<Cell>.stride }

    package var values: [SQLValue] { columns.names.indices.map { value(block.cells[start + $0]) } }

    package func value(_ column: String) throws(StorageError) -> SQLValue { value(try cell(column)) }

    private func cell(_ column: String) throws(StorageError) -> Cell {
        guard let position = block.position(of: column) else { throw .invalidRow(column: column) }
        return block.cells[start + position]
    }

    private func value(_ cell: Cell) -> SQLValue {
        switch cell.kind {
        case .null: .null
        case .boolean: .boolean(cell.payload != 0)
        case .integer: .integer(cell.payload)
        case .instant: .instant(Instant(microseconds: cell.payload))
        case .text: .text(text(cell))
        case .bytes: .bytes(Array(block.bytes[cell.range]))
        }
    }

    private func text(_ cell: Cell) -> String {
        withUTF8(cell) { String(copying: $0) }
    }

    private func withUTF8<R>(_ cell: Cell, _ body: (UTF8Span) -> R) -> R {
        let bytes = block.bytes
        // SAFETY: a cell is a text only if `RowBuilder` was given a String or found that the bytes are UTF-8.
        let text = unsafe UTF8Span(unchecked: bytes.span.extracting(cell.range), isKnownASCII: cell.isASCII)
        return body(text)
    }

    package func text(_ column: String) throws(StorageError) -> String {
        guard let value = try optionalText(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalText(_ column: String) throws(StorageError) -> String? {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return nil
        case .text: return text(cell)
        default: throw .invalidRow(column: column)
        }
    }

    /// Lends the bytes of a text, which saves a copy.
    package func withText<R>(_ column: String, _ body: (UTF8Span) -> R) throws(StorageError) -> R {
        let cell = try cell(column)
        guard cell.kind == .text else { throw .invalidRow(column: column) }
        return withUTF8(cell, body)
    }

    /// Lends the bytes of a text, `nil` for NULL.
    package func withOptionalText<R>(_ column: String, _ body: (UTF8Span?) -> R) throws(StorageError) -> R {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return body(nil)
        case .text: return withUTF8(cell, body)
        default: throw .invalidRow(column: column)
        }
    }

    package func integer(_ column: String) throws(StorageError) -> Int64 {
        guard let value = try optionalInteger(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalInteger(_ column: String) throws(StorageError) -> Int64? {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return nil
        case .integer: return cell.payload
        default: throw .invalidRow(column: column)
        }
    }

    package func int(_ column: String) throws(StorageError) -> Int {
        Int(try integer(column))
    }

    package func boolean(_ column: String) throws(StorageError) -> Bool {
        guard let value = try optionalBoolean(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalBoolean(_ column: String) throws(StorageError) -> Bool? {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return nil
        case .boolean, .integer:
            guard cell.payload == 0 || cell.payload == 1 else { throw .invalidRow(column: column) }
            return cell.payload == 1
        default: throw .invalidRow(column: column)
        }
    }

    package func instant(_ column: String) throws(StorageError) -> Instant {
        guard let value = try optionalInstant(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalInstant(_ column: String) throws(StorageError) -> Instant? {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return nil
        case .instant, .integer: return Instant(microseconds: cell.payload)
        default: throw .invalidRow(column: column)
        }
    }

    package func bytes(_ column: String) throws(StorageError) -> [UInt8] {
        guard let value = try optionalBytes(column) else { throw .invalidRow(column: column) }
        return value
    }

    package func optionalBytes(_ column: String) throws(StorageError) -> [UInt8]? {
        let cell = try cell(column)
        switch cell.kind {
        case .null: return nil
        case .bytes: return Array(block.bytes[cell.range])
        default: throw .invalidRow(column: column)
        }
    }
}
