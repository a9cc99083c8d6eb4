// The manifest makes a folder a backup: service, engine, and the digest of each file. It is written last and the folder
// is renamed after it, so a folder with a manifest is complete.
import Foundation
import OpenSSLCrypto
import Storage

struct BackupManifest: Codable, Sendable {
    struct File: Codable, Sendable {
        let service: String
        /// `sqlite` or `postgres`: a backup is restored to the same engine.
        let engine: String
        let name: String
        let bytes: Int
        /// In hex, as `sha256sum` prints it.
        let sha256: String
        /// For people; the migrations in the file itself count.
        let migrations: [String]
    }

    let format: String
    let version: Int
    let program: String
    let createdAt: String
    let files: [File]

    static let name = "manifest.json"
    private static let format = "tessera-backup"
    private static let version = 1

    init(files: [File], at now: Instant) {
        format = Self.format
        version = Self.version
        program = Tessera.version
        createdAt = now.rfc3339
        self.files = files
    }

    var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        }
    }

    /// `nil` if the folder is no backup of Tessera.
    static func read(_ folder: String) throws -> BackupManifest? {
        guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)"),
            let manifest = try? JSONDecoder().decode(BackupManifest.self, from: data), manifest.format == format
        else { return nil }
        guard manifest.version == version else {
            throw StartFailure("\(folder) was written by a newer tessera (\(manifest.program))")
        }
        // SECURITY: a name with a slash would lead out of the folder.
        guard manifest.files.allSatisfy({ !$0.name.contains("/") && !$0.name.hasPrefix(".") }) else { return nil }
        return manifest
    }

    func file(of service: String) -> File? { files.first { $0.service == service } }
}

enum FileDigest {
    struct Result: Sendable {
        let bytes: Int
        let sha256: String
    }

    static func compute(
        _ path: String,
        copyingTo destination: String? = nil,
        progress: @escaping @Sendable (Int) -> Void = { _ in }
    ) async throws -> Result {
        try await OwnThread.run("file-digest") {
            guard let source = FileHandle(forReadingAtPath: path) else { throw StartFailure("\(path) cannot be read") }
            let copy = try destination.map { destination in
                guard let handle = FileHandle(forWritingAtPath: destination) else {
                    throw StartFailure("\(destination) cannot be written")
                }
                return handle
            }
            let digest = RunningSHA256()
            var bytes = 0
            while let piece = try source.read(upToCount: 1 << 20), !piece.isEmpty {
                piece.withUnsafeBytes { digest.update($0) }
                try copy?.write(contentsOf: piece)
                bytes += piece.count
                progress(bytes)
            }
            try copy?.synchronize()
            try copy?.close()
            try source.close()
            return Result(bytes: bytes, sha256: Hex.encode(digest.finish()))
        }
    }
}
