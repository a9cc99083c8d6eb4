// Brings a database to the schema that this program was built for, and reports its state.
//
// The table `schema_migrations` records what ran. Each migration commits together with its row, so an interrupted run
// resumes where it stopped. All work happens under the engine's migration lock: of two processes that start at once,
// one migrates and the other finds nothing to do. A migration that was edited after it ran is refused, because existing
// databases would differ from the file.

/// The state of one migration in one database.
package struct MigrationStatus: Sendable, Hashable {
    package let number: Int
    package let name: String
    /// When it ran; `nil` while pending.
    package let appliedAt: Instant?
    /// The file differs from what ran.
    package let wasEdited: Bool
    /// This program knows the migration. False when a newer program migrated the database.
    package let isKnown: Bool
}

/// A migration that would be taken back.
package struct Reversal: Sendable, Hashable {
    package let name: String
    /// Rows or columns of data go with it.
    package let dropsRows: Bool
}

/// Migrates one service's database.
package struct Migrator: Sendable {
    package let service: String
    let migrations: [Migration]
    let checksum: @Sendable ([UInt8]) -> String
    let clock: @Sendable () -> Instant

    /// - Parameters:
    ///   - service: `auth` or `chat`; migrations of other services are left out.
    ///   - migrations: every embedded migration, including both engines' variants.
    ///   - checksum: a collision-resistant digest as text; SHA-256 in hex everywhere in Tessera.
    ///   - clock: the time written as `applied_at`.
    package init(
        service: String,
        migrations: [Migration],
        checksum: @escaping @Sendable ([UInt8]) -> String,
        clock: @escaping @Sendable () -> Instant
    ) {
        self.service = service
        self.migrations = migrations.filter { $0.service == service }
        self.checksum = checksum
        self.clock = clock
    }

    /// Applies pending migrations in order, up to and including number `last`.
    ///
    /// - Returns: the names applied by this call.
    /// - Throws: `StorageError.schema` when an applied migration was edited; the error of the statement that failed.
    @discardableResult
    package func up(_ database: any SQLDatabase, to last: Int? = nil) async throws -> [String] {
        let plan = try plan(for: database.engine)
        return try await database.withMigrationLock { connection in
            let run = MigrationRun(connection: connection, engine: database.engine, migrator: self)
            let applied = try run.prepare()
            try verify(applied, against: plan)
            var names: [String] = []
            for migration in plan where migration.number <= last ?? .max && applied[migration.number] == nil {
                if try run.apply(migration) { names.append(migration.name) }
            }
            if !names.isEmpty, database.engine == .postgres {
                try connection.execute(script: TableStatistics.refreshScript)
            }
            return names
        }
    }

    /// What `down` would revert, newest first, and whether that drops rows. Changes nothing.
    package func reversal(_ database: any SQLDatabase, steps: Int = 1) async throws -> [Reversal] {
        let plan = try plan(for: database.engine)
        let applied = try await AppliedMigration.all(of: service, in: database)
        return try applied.values.sorted(by: { $0.number > $1.number }).prefix(steps).map { row in
            // One of a newer program may do anything; `down` refuses it.
            let section = try plan.first { $0.number == row.number }?.section(.down)
            return Reversal(name: row.name, dropsRows: section?.dropsRows ?? true)
        }
    }

    /// Reverts the newest `steps` applied migrations.
    ///
    /// - Returns: the names reverted by this call, newest first.
    @discardableResult
    package func down(_ database: any SQLDatabase, steps: Int = 1) async throws -> [String] {
        let plan = try plan(for: database.engine)
        return try await database.withMigrationLock { connection in
            let run = MigrationRun(connection: connection, engine: database.engine, migrator: self)
            let applied = try run.prepare()
            try verify(applied, against: plan)
            var names: [String] = []
            for row in applied.values.sorted(by: { $0.number > $1.number }).prefix(steps) {
                guard let migration = plan.first(where: { $0.number == row.number }) else {
                    throw StorageError.schema(
                        reason: "\(row.name) was applied by a newer program, which must take it back"
                    )
                }
                if try run.revert(migration) { names.append(migration.name) }
            }
            return names
        }
    }

    /// Records every migration up to and including `last` as applied without running it, for a database whose schema
    /// was made in another way.
    @discardableResult
    package func stamp(_ database: any SQLDatabase, to last: Int) async throws -> [String] {
        let plan = try plan(for: database.engine)
        return try await database.withMigrationLock { connection in
            let run = MigrationRun(connection: connection, engine: database.engine, migrator: self)
            let applied = try run.prepare()
            try verify(applied, against: plan)
            var names: [String] = []
            for migration in plan where migration.number <= last && applied[migration.number] == nil {
                try run.record(migration)
                names.append(migration.name)
            }
            return names
        }
    }

    /// Every migration that this program or the database knows, by number. Changes nothing.
    package func status(_ database: any SQLDatabase) async throws -> [MigrationStatus] {
        let plan = try plan(for: database.engine)
        let applied = try await AppliedMigration.all(of: service, in: database)
        let known = plan.map { migration in
            let row = applied[migration.number]
            return MigrationStatus(
                number: migration.number,
                name: migration.name,
                appliedAt: row?.appliedAt,
                wasEdited: row.map { $0.checksum != checksum(of: migration) } ?? false,
                isKnown: true
            )
        }
        let numbers = Set(plan.map(\.number))
        let newer = applied.values.filter { !numbers.contains($0.number) }.map { row in
            MigrationStatus(
                number: row.number,
                name: row.name,
                appliedAt: row.appliedAt,
                wasEdited: false,
                isKnown: false
            )
        }
        return (known + newer).sorted { $0.number < $1.number }
    }

    /// Throws unless every migration of this program ran unedited. A newer database passes: the program of schema N-1
    /// works on schema N, so that nodes can be replaced one after the other.
    ///
    /// - Throws: `StorageError.schema` that names what is missing or was edited.
    package func requireCurrent(_ database: any SQLDatabase) async throws {
        let status = try await status(database)
        let missing = status.filter { $0.appliedAt == nil }.map(\.name)
        guard missing.isEmpty else {
            throw StorageError.schema(reason: "not migrated: \(missing.joined(separator: ", ")) missing")
        }
        if let edited = status.first(where: \.wasEdited) { throw Self.wasEdited(edited.name) }
    }

    // MARK: - Plan

    /// The migrations for an engine in order; an engine's own file replaces the common one.
    func plan(for engine: SQLEngine) throws(StorageError) -> [Migration] {
        var plan: [Int: Migration] = [:]
        for migration in migrations where migration.engine == nil || migration.engine == engine {
            if let other = plan[migration.number] {
                guard other.name == migration.name, other.engine != migration.engine else {
                    throw .schema(reason: "\(other.name) and \(migration.name) have the same number")
                }
                if migration.engine == nil { continue }
            }
            plan[migration.number] = migration
        }
        return plan.values.sorted { $0.number < $1.number }
    }

    func checksum(of migration: Migration) -> String { checksum(Array(migration.source.utf8)) }

    private func verify(_ applied: [Int: AppliedMigration], against plan: [Migration]) throws(StorageError) {
        for migration in plan {
            guard let row = applied[migration.number] else { continue }
            guard row.checksum == checksum(of: migration), row.name == migration.name else {
                throw Self.wasEdited(migration.name)
            }
        }
    }

    private static func wasEdited(_ name: String) -> StorageError {
        .schema(reason: "\(name) was edited after it ran: restore the file and put the change in a new migration")
    }
}
