// Restores a backup. Everything is checked before any change; then each database is replaced in one transaction. Chat
// comes first, because auth's new epoch ends every session and must be last.
import Foundation
import Logging
import Storage

struct RestoreSet {
    typealias Service = MigrateCommand.Service

    let settings: Settings
    let logger: Logger
    let progress: ProgressDisplay

    private struct Part {
        let service: Service
        let url: DatabaseURL
        let target: RestoreTarget
        let apply: (RestoreTarget) async throws -> String?
        let discard: () -> Void
    }

    struct Restored {
        let service: Service
        /// The new event epoch, for auth.
        let epoch: String?
    }

    /// Restores from the folder at `path`.
    ///
    /// - Parameters:
    ///   - selection: which services; `all` means all in the backup.
    ///   - path: the folder of `tessera backup`.
    ///   - confirm: receives what will be replaced; an error cancels the restore.
    /// - Returns: the restored services, in order.
    /// - Throws: `StartFailure`, in one line that names the service.
    func restore(
        _ selection: ServiceSelection,
        from path: String,
        confirm: ([String]) throws -> Void
    ) async throws -> [Restored] {
        guard let manifest = try BackupManifest.read(path) else {
            throw StartFailure("\(path) is no backup of tessera")
        }
        let wanted = selection.services.filter { selection != .all || manifest.file(of: $0.rawValue) != nil }
        guard !wanted.isEmpty else { throw StartFailure("\(path) holds no service") }
        var parts: [Part] = []
        defer { for part in parts { part.discard() } }
        for service in wanted.sorted(by: { $0 != .auth && $1 == .auth }) {
            guard let file = manifest.file(of: service.rawValue) else {
                throw StartFailure("\(path) does not hold \(service.rawValue)")
            }
            try await describing(service) { parts.append(try await prepare(service, file, in: path)) }
        }
        try confirm(parts.map { "\($0.service.rawValue) at \($0.url)\($0.target.isEmpty ? ", which is empty" : "")" })
        var restored: [Restored] = []
        for part in parts {
            try await describing(part.service) {
                restored.append(Restored(service: part.service, epoch: try await part.apply(part.target)))
            }
        }
        return restored
    }

    private func prepare(_ service: Service, _ file: BackupManifest.File, in folder: String) async throws -> Part {
        let url = try service.url(settings)
        guard file.engine == url.engine.rawValue else {
            throw StartFailure("the backup is of \(file.engine), and the database is \(url.engine.rawValue)")
        }
        let source = "\(folder)/\(file.name)"
        switch url {
        case .sqlite(let path):
            let restore = SQLiteRestore(
                service: service,
                target: path,
                source: source,
                file: file,
                logger: logger,
                progress: progress
            )
            do {
                let target = try await restore.prepare()
                return Part(
                    service: service,
                    url: url,
                    target: target,
                    apply: restore.apply,
                    discard: restore.discard
                )
            } catch {
                restore.discard()
                throw error
            }
        case .postgres(let text, let schema):
            let restore = PostgresRestore(
                service: service,
                target: text,
                schema: try await schema.resolve(at: text, for: service.rawValue),
                source: source,
                file: file,
                logger: logger,
                progress: progress
            )
            return Part(
                service: service,
                url: url,
                target: try await restore.prepare(),
                apply: restore.apply,
                discard: {}
            )
        }
    }

    private func describing(_ service: Service, _ body: () async throws -> Void) async throws {
        do {
            try await body()
            progress.finish()
        } catch {
            progress.finish()
            throw StartFailure("\(service.rawValue): \(BackupSet.reason(error))")
        }
    }
}
