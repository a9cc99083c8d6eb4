import ServiceKit

extension ChatService {
    package func export(of user: String) async throws -> ExportReader {
        try await ExportReader(of: user, database: features.database, at: clock.now())
    }

    package func importer(for user: String) -> Importer {
        Importer(for: user, database: features.database, clock: clock)
    }
}
