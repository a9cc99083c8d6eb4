import ServiceKit

extension ChatService {
    package func export(of user: String) async throws -> ExportReader {
        try await ExportReader(of: user, flat: Self.export, database: features.database, at: clock.now())
    }

    package static func importCheck() -> ImportCheck { ImportCheck(flat: export) }

    package func importer(for user: String, after check: ImportCheck) -> Importer {
        Importer(for: user, flat: Self.export, heads: check.heads, database: features.database, clock: clock)
    }
}
