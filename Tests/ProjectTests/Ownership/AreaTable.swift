/// The rows of `| area | writes | what it is |` in docs/architecture.md. An area may name those above it.
struct AreaTable {
    /// A table, or one row of a table of settings.
    struct Item: Hashable, CustomStringConvertible {
        let table: String
        var key: String?

        var description: String { key.map { "\(table): \($0)" } ?? table }
    }

    private(set) var areas: [String] = []
    private(set) var owners: [(item: Item, area: String)] = []

    init(_ document: String) {
        var isInside = false
        for line in document.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("| area | writes |") {
                isInside = true
            } else if !line.hasPrefix("|") {
                isInside = false
            } else if isInside, !line.hasPrefix("|---") {
                let cells = line.split(separator: "|").map(String.init)
                guard cells.count >= 2, let area = Self.quoted(cells[0]).first else { continue }
                areas.append(area)
                for written in Self.quoted(cells[1]) {
                    let parts = written.split(separator: ": ").map(String.init)
                    owners.append((Item(table: parts[0], key: parts.count > 1 ? parts[1] : nil), area))
                }
            }
        }
    }

    private static func quoted(_ cell: String) -> [String] { cell.matches(of: /`([^`]+)`/).map { String($0.1) } }

    /// The longest area that is a prefix of the file's path.
    func area(of file: String) -> String? {
        areas.filter { Self.holds($0, file) }.max { $0.count < $1.count }
    }

    /// Whether an area is its service's composition root, which may name everything.
    func isRoot(_ area: String) -> Bool { area == Self.root(of: area) }

    static func root(of file: String) -> String {
        let service = Self.service(of: file)
        return "\(service)/\(service)"
    }

    static func service(of file: String) -> String { String(file.prefix { $0 != "/" }) }

    /// `A/B` holds `A/B/c.swift`, `A/B.swift` and `A/B+c.swift`.
    static func holds(_ area: String, _ file: String) -> Bool {
        file.hasPrefix(area) && ["/", ".", "+"].contains(file.dropFirst(area.count).first)
    }

    /// The areas that own the item in the service of this file.
    func owners(of item: Item, writtenIn file: String) -> [String] {
        let all = owners.filter { $0.item == item }.map(\.area)
        // Both services may have a table of one name.
        let own = all.filter { Self.service(of: $0) == Self.service(of: file) }
        return own.isEmpty ? all : own
    }

    func keys(of table: String) -> Set<String> {
        Set(owners.filter { $0.item.table == table }.compactMap(\.item.key))
    }

    func knows(_ table: String) -> Bool { owners.contains { $0.item.table == table } }
}
