// An index that PostgreSQL builds or drops beside writes, which no transaction can undo. A build that was interrupted
// leaves an index that is marked invalid (PostgreSQL manual, "Building Indexes Concurrently").

/// What a section without a transaction does to one index.
struct ConcurrentIndex {
    private let name: String
    private let isCreated: Bool

    /// `nil` for a section that does something else.
    init?(_ script: String) {
        guard
            let match = script.firstMatch(
                of: /^(CREATE|DROP) INDEX CONCURRENTLY ([a-z0-9_]+)/.anchorsMatchLineEndings()
            )
        else { return nil }
        isCreated = match.1 == "CREATE"
        name = String(match.2)
    }

    /// Whether an earlier run has done it. Removes what one has left unfinished.
    func isDone(on connection: any SQLMigrationConnection) throws(StorageError) -> Bool {
        let found = try connection.run(Self.state.bind(["name": name])).first
        guard let found else { return !isCreated }
        guard isCreated else { return false }
        if try found.boolean("is_valid") { return true }
        try connection.execute(script: "DROP INDEX CONCURRENTLY \(name)")
        return false
    }

    private static let state = Statement(
        "migrations.index_state",
        .reads,
        ["name": .text],
        """
        SELECT i.indisvalid AS is_valid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE c.relname = :name AND c.relnamespace = to_regnamespace(quote_ident(current_schema()))
        """
    )
}
