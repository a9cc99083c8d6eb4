// The values of a result, side by side.
//
// A page of fifty messages has a thousand values. An enum for each of them and a String on the heap for every text cost
// a service more than the page cost the database (docs/decisions/0025-rows-as-bytes.md). So a result's values stand one
// after the other in one array of bytes, with a cell for each that says what it is and where. A value is decoded when it
// is asked for, and a text goes into an answer without a String between.
internal import Synchronization

/// The column names of a result, which results of one statement may share.
package final class Columns: Sendable {
    package let names: [String]
    private let positions: [String: Int]
    /// Otherwise a name means the first of its columns.
    let areUnique: Bool

    package init(_ names: [String]) {
        self.names = names
        positions = Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        areUnique = positions.count == names.count
    }

    func position(of name: String) -> Int? { positions[name] }
}

/// A value: what it is, and itself or where its bytes are.
struct Cell: Sendable {
    enum Kind: Sendable {
        case null, boolean, integer, instant, text, bytes
    }

    let kind: Kind
    /// Whether a text is known to be; a String that knows it of itself is compared much sooner.
    let isASCII: Bool
    /// Of its bytes.
    let count: Int32
    /// 0 or 1, an integer, microseconds since 1970, or where the bytes begin.
    let payload: Int64

    init(_ kind: Kind, _ payload: Int64, count: Int32 = 0, isASCII: Bool = false) {
        self.kind = kind
        self.isASCII = isASCII
        self.count = count
        self.payload = payload
    }

    var range: Range<Int> { Int(payload)..<Int(payload) + Int(count) }
}

/// The rows of one result. They keep it alive together.
final class RowBlock: Sendable {
    let columns: Columns
    /// Row by row.
    let cells: [Cell]
    let bytes: [UInt8]
    /// Behind where the last look-up ended. Most code reads the columns of a row in the order of the statement, so the
    /// next name is mostly the next column, and a comparison finds it sooner than a hash.
    private let next = Atomic(0)

    init(columns: Columns, cells: [Cell], bytes: [UInt8]) {
        self.columns = columns
        self.cells = cells
        self.bytes = bytes
    }

    func position(of name: String) -> Int? {
        let guess = next.load(ordering: .relaxed)
        let position: Int
        if columns.areUnique, guess < columns.names.count, columns.names[guess] == name {
            position = guess
        } else if let known = columns.position(of: name) {
            position = known
        } else {
            return nil
        }
        next.store(position + 1 < columns.names.count ? position + 1 : 0, ordering: .relaxed)
        return position
    }
}

/// Takes an engine's values in the order in which they come: row by row, and in each the columns from left to right.
package struct RowBuilder: ~Copyable {
    private let columns: Columns
    private var cells: [Cell] = []
    private var bytes: [UInt8] = []

    /// `rows` and `bytes`, those of all texts and blobs, are what is expected, so that nothing is copied as it grows.
    package init(_ columns: Columns, rows: Int = 1, bytes count: Int = 0) {
        self.columns = columns
        cells.reserveCapacity(rows * columns.names.count)
        bytes.reserveCapacity(count)
    }

    package mutating func appendNull() { cells.append(Cell(.null, 0)) }
    package mutating func append(_ boolean: Bool) { cells.append(Cell(.boolean, boolean ? 1 : 0)) }
    package mutating func append(_ integer: Int64) { cells.append(Cell(.integer, integer)) }
    package mutating func append(_ instant: Instant) { cells.append(Cell(.instant, instant.microseconds)) }

    package mutating func append(_ text: String) {
        var text = text
        let isASCII = text.utf8Span.isKnownASCII
        text.withUTF8 { append(.text, UnsafeRawBufferPointer($0), isASCII: isASCII) }
    }

    package mutating func append(bytes: UnsafeRawBufferPointer) { append(.bytes, bytes) }

    /// Appends a text, which nobody will look through again.
    ///
    /// - Parameter utf8: its bytes.
    /// - Returns: whether it is one; nothing is appended otherwise.
    package mutating func append(utf8: UnsafeRawBufferPointer) -> Bool {
        let isASCII = utf8.withMemoryRebound(to: UInt8.self) { try? UTF8Span(validating: $0.span).isKnownASCII }
        guard let isASCII else { return false }
        append(.text, utf8, isASCII: isASCII)
        return true
    }

    package mutating func append(_ value: SQLValue) {
        switch value {
        case .null: appendNull()
        case .boolean(let boolean): append(boolean)
        case .integer(let integer): append(integer)
        case .text(let text): append(text)
        case .bytes(let bytes): bytes.withUnsafeBytes { append(bytes: $0) }
        case .instant(let instant): append(instant)
        // An index keeps them, and nobody reads them from there.
        case .words(let words): append(words.text)
        }
    }

    private mutating func append(_ kind: Cell.Kind, _ content: UnsafeRawBufferPointer, isASCII: Bool = false) {
        // Neither engine has values of more than a gigabyte.
        cells.append(Cell(kind, Int64(bytes.count), count: Int32(content.count), isASCII: isASCII))
        bytes.append(contentsOf: content)
    }

    /// All rows. Each must have been given a value for every column.
    package consuming func rows() -> [Row] {
        let width = columns.names.count
        guard width > 0 else { return [] }
        let block = block()
        return stride(from: 0, to: block.cells.count, by: width).map { Row(block, start: $0) }
    }

    consuming func block() -> RowBlock { RowBlock(columns: columns, cells: cells, bytes: bytes) }
}
