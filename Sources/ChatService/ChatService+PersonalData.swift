// Exports and imports of the command line.
import ServiceKit

extension ChatService {
    /// An export of a person's data, to be read to its end.
    package func export(of user: String) async throws -> ExportReader {
        try await ExportReader(of: user, database: database, at: clock.now())
    }

    /// An import for a person, line by line.
    package func importer(for user: String) -> Importer {
        Importer(for: user, database: database, clock: clock)
    }
}
