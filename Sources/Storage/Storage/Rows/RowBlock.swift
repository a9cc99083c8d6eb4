// The values of a result in one array of bytes.
//
// A page of fifty messages has a thousand values. An enum for each value and a String for each text cost a service more
// than the page cost the database (docs/decisions/0025-rows-as-bytes.md). So the values of a result lie one after the
// other in one array of bytes, with a cell each for its type and place. A value is decoded on access, and a text goes
// into an answer without a String.
internal import Synchronization

/// The column names of a result; results of one statement may share them.
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

/// A value's type, and the value itself or the place of its bytes.
struct Cell: Sendable {
    enum Kind: Sendable {
        case null, boolean, integer, instant, text, bytes
    }

    let kind: Kind
    /// Whether a text is known to be ASCII, which makes comparisons of a String much faster.
    let isASCII: Bool
    /// The number of bytes.
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

/// The rows of one result, which keep it alive together.
final class RowBlock: Sendable {
    let columns: Columns
    /// Row by row.
    let cells: [Cell]
    let bytes: [UInt8]
    /// The column after the last look-up. Most code reads columns in the order of the statement, so the next name is
    /// mostly the next column, and one comparison finds it faster than a hash.
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

/// Takes an engine's values in order: row by row, and the columns of each from left to right.
package struct RowBuilder: ~Copyable {
    private let columns: Columns
    private var cells: [Cell] = []
    private var bytes: [UInt8] = []

    /// `rows` and `bytes` (of all texts and blobs) are expected sizes, which avoid copies during growth.
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

    /// Appends a text after checking it; it is not checked again.
    ///
    /// - Parameter utf8: its bytes.
    /// - Returns: whether they are UTF-8; nothing is appended otherwise.
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
        // Only an index holds them, and no statement reads them back.
        case .words(let words): append(words.text)
        }
    }

    private mutating func append(_ kind: Cell.Kind, _ content: UnsafeRawBufferPointer, isASCII: Bool = false) {
        // Neither engine has values of more than a gigabyte.
        cells.append(Cell(kind, Int64(bytes.count), count: Int32(content.count), isASCII: isASCII))
        bytes.append(contentsOf: content)
    }

    /// All rows. Each must have a value for every column.
    package consuming func rows() -> [Row] {
        let width = columns.names.count
        guard width > 0 else { return [] }
        let block = block()
        return stride(from: 0, to: block.cells.count, by: width).map { Row(block, start: $0) }
    }

    consuming func block() -> RowBlock { RowBlock(columns: columns, cells: cells, bytes: bytes) }
}
