// Rows that an area exports one by one, declared beside its statements.
import Storage

/// Rows that are exported in the order of their keys, and inserted one by one.
struct FlatExport: Sendable {
    let entity: ExportedEntity
    private let page: Statement
    private let insert: Statement
    /// For a file without conversations, if the insert depends on those.
    private let insertAlone: Statement?
    /// Whether `insert` has the parameter `:importing`.
    private let needsImport: Bool
    /// The columns that order the pages, each with a value below all others.
    private let key: [(column: String, lowest: SQLValue)]

    /// - Parameters:
    ///   - entity: the columns.
    ///   - table: the table, which names the statements.
    ///   - key: the columns that order the pages; together unique.
    ///   - rows: the SQL behind FROM: the rows that belong to `:owner` and come after the key's values, which are
    ///     parameters of the columns' names, in the key's order. `:limit` may occur in it, and follows it.
    ///   - insert: an INSERT with a parameter for each column and `:owner`. It requires that `:owner` may write, and
    ///     that the row and its references are the owner's.
    ///   - insertAlone: for a file without conversations.
    ///   - needsImport: whether `insert` has the parameter `:importing`, a conversation that the import fills.
    init(
        _ entity: ExportedEntity,
        table: String,
        key: [String],
        from rows: (SQLEngine) -> String,
        insert: String,
        insertAlone: String? = nil,
        needsImport: Bool = false
    ) {
        self.entity = entity
        self.needsImport = needsImport
        let keyColumns = key.compactMap { name in entity.columns.first { $0.name == name } }
        self.key = keyColumns.map { ($0.name, Self.lowest($0.type)) }
        page = Statement(
            "export.\(table)",
            .reads,
            ["owner": .text] + StatementParameters(keyColumns.map { ($0.name, $0.type) }) + ["limit": .integer]
        ) { engine in
            "SELECT \(entity.columnList) FROM \(rows(engine)) LIMIT :limit"
        }
        func statement(_ name: String, _ more: StatementParameters, _ text: String) -> Statement {
            Statement(name, .writes, entity.parameters + ["owner": .text] + more, text)
        }
        self.insert = statement("import.\(table)", needsImport ? ["importing": .text] : [:], insert)
        self.insertAlone = insertAlone.map { statement("import.\(table)_alone", [:], $0) }
    }

    /// Rows of a table with an index on `owner` and the columns of the key.
    init(
        _ entity: ExportedEntity,
        table: String,
        of owner: String,
        key: [String],
        insert: String,
        insertAlone: String? = nil,
        needsImport: Bool = false
    ) {
        self.init(
            entity,
            table: table,
            key: key,
            from: { engine in
                let place = key.map { (column: $0, place: ":\($0)") }
                return "\(table) WHERE \(OnePlan.page(of: owner, is: ":owner", after: place, engine))"
            },
            insert: insert,
            insertAlone: insertAlone,
            needsImport: needsImport
        )
    }

    /// A page of the owner's rows after `place`, the values of the key's columns; from the start without one.
    func page(of owner: String, after place: [String: SQLValue]?, limit: Int64) -> BoundStatement {
        let place = StatementValues(key.map { ($0.column, place?[$0.column] ?? $0.lowest) })
        return page.bind(["owner": owner] + place + ["limit": limit])
    }

    func place(of row: Row) throws(StorageError) -> [String: SQLValue] {
        var place: [String: SQLValue] = [:]
        for column in entity.columns where key.contains(where: { $0.column == column.name }) {
            // SQLite stores instants as integers.
            place[column.name] =
                column.type == .instant ? .instant(try row.instant(column.name)) : try row.value(column.name)
        }
        return place
    }

    /// Affects nothing if the row exists or is not the owner's. `conversation`: one of the file's that is not visible
    /// yet; `nil` where all existed before. `isAlone`: the file has no conversations.
    func insert(
        row: [String: SQLValue],
        owner: String,
        importing conversation: String?,
        isAlone: Bool
    ) -> BoundStatement {
        let values = entity.values(of: row) + ["owner": owner]
        if isAlone, let insertAlone { return insertAlone.bind(values) }
        return insert.bind(needsImport ? values + ["importing": conversation] : values)
    }

    private static func lowest(_ type: SQLType) -> SQLValue {
        switch type {
        case .integer: .integer(.min)
        case .instant: .instant(.distantPast)
        default: .text("")
        }
    }

    var statements: [Statement] { [page, insert] + [insertAlone].compactMap(\.self) }
}
