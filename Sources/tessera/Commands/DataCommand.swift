import ArgumentParser
import ChatService
import Foundation
import Logging
import ServiceKit
import Storage

#if canImport(Glibc)
    import Glibc
#endif

struct DataCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "data",
        abstract: "Export, import or erase what chat keeps of one user.",
        subcommands: [Export.self, Import.self, Erase.self]
    )

    struct Export: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write a user's chat data as NDJSON, to a file or to standard output."
        )
        @OptionGroup var options: CommonOptions
        @Option(help: "The user's id.") var user: String
        @Argument(help: "A file, which must not exist.") var file: String?

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withChat(settings, logger: logger) { chat in
                let output = try file.map(Self.make) ?? FileHandle.standardOutput
                var reader = try await Refusal.describing(about: user) { try await chat.export(of: user) }
                while let piece = try await reader.next() { try output.write(contentsOf: Data(piece)) }
                try? output.synchronize()
            }
        }

        /// SECURITY: the content is for its owner only.
        private static func make(_ path: String) throws -> FileHandle {
            let attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
            guard !FileManager.default.fileExists(atPath: path) else { throw StartFailure("\(path) exists") }
            guard FileManager.default.createFile(atPath: path, contents: nil, attributes: attributes),
                let handle = FileHandle(forWritingAtPath: path)
            else { throw StartFailure("\(path) cannot be written") }
            return handle
        }
    }

    struct Import: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Bring an export back, for its user or for another one. Safe to repeat."
        )
        @OptionGroup var options: CommonOptions
        @Option(help: "The id of the user who is to own it; by default the one who was exported.") var user: String?
        @Argument(help: "The file.") var file: String

        func run(_ settings: Settings, logger: Logger) async throws {
            // SECURITY: an id that no token can name must not become a principal.
            if let user, !RowID.isValid(user) { throw StartFailure("--user is not an id") }
            do {
                var check = ChatService.importCheck()
                try await LineFile(file).forEach { line in try check.take(line) }
                try check.finish()
                let checked = check
                guard let owner = user ?? check.user else { throw StartFailure("\(file) names no user") }
                try await withChat(settings, logger: logger) { chat in
                    var importer = chat.importer(for: owner, after: checked)
                    let report = try await Refusal.describing(about: owner) {
                        try await LineFile(file).forEach { line in try await importer.take(line) }
                        return try await importer.finish()
                    }
                    print("conversations  \(report.conversations)")
                    print("messages  \(report.messages)")
                    print("other rows  \(report.others)")
                    print("conversations that were there  \(report.present)")
                    for (entity, count) in report.skipped.sorted(by: { $0.key < $1.key }) {
                        print("\(entity) rows skipped  \(count)")
                    }
                    for reason in report.refused.prefix(20) { print("refused  \(reason)") }
                    guard report.refused.isEmpty else {
                        throw StartFailure("\(report.refused.count) conversations were refused")
                    }
                }
            } catch let refusal as ImportRefusal {
                throw StartFailure("\(file): \(refusal)")
            }
        }
    }

    struct Erase: TesseraCommand {
        static let configuration = CommandConfiguration(
            abstract: "Erase a user's chat data for good, and print the receipt.",
            discussion: """
                On SQLite words of erased messages stay in the search's index for up to six hours. \
                `tessera search purge` removes them at once.
                """
        )
        @OptionGroup var options: CommonOptions
        @Argument(help: "The user's id.") var user: String

        func run(_ settings: Settings, logger: Logger) async throws {
            try await withChat(settings, logger: logger) { chat in
                try await Refusal.describing(about: user) {
                    _ = try await chat.erasures.erase(user, .operator, by: nil)
                    try await chat.erasures.finishOpen()
                    guard let receipt = try await chat.erasures.receipt(of: user) else { return }
                    print("erasure  \(receipt.id)")
                    for (entity, count) in receipt.removed { print("\(entity)  \(count)") }
                    guard receipt.isCompleted else {
                        throw StartFailure(
                            "the rows are gone, and their bytes not yet: run it again, or leave it to the service"
                        )
                    }
                }
            }
        }
    }
}

/// A file that is read line by line, more than once; a pipe would be empty the second time.
private struct LineFile {
    /// SECURITY: no line of an export is that long. The limit ends a file without line feeds.
    private static let maxLineBytes = 64 << 20

    let path: String

    init(_ path: String) { self.path = path }

    func forEach(_ body: ([UInt8]) async throws -> Void) async throws {
        guard let handle = FileHandle(forReadingAtPath: path) else { throw StartFailure("\(path) cannot be read") }
        defer { try? handle.close() }
        // A pipe, a terminal or a socket cannot seek (lseek(2), ESPIPE).
        guard lseek(handle.fileDescriptor, 0, SEEK_CUR) >= 0 else {
            throw StartFailure("\(path) is not a regular file, and is to be read twice")
        }
        var line: [UInt8] = []
        while let piece = try handle.read(upToCount: 1 << 16), !piece.isEmpty {
            var rest = piece[...]
            while let end = rest.firstIndex(of: 0x0A) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                try await body(line)
                line.removeAll(keepingCapacity: true)
            }
            line += rest
            guard line.count <= Self.maxLineBytes else { throw ImportRefusal("a line is too long") }
        }
        if !line.isEmpty { try await body(line) }
    }
}
