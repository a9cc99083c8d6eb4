// An export, a piece at a time: NDJSON, read by keyset in small transactions, so that memory does not depend on the
// size.
//
// Lines: a header with the format's version, the principal, each conversation followed by its messages, the other
// entities, and a trailer with the counts. Without the trailer the export is incomplete.
//
// It is no snapshot: concurrent writes may be in it or not. But each conversation is whole: its messages are those up
// to the `last_seq` of its line, and every number has a row (tombstones too). A conversation that is deleted for good
// meanwhile ends the export, without a trailer.
import ServiceKit
import Storage

/// Reads one person's data to its end. A value with one owner.
package struct ExportReader: Sendable {
    package static let format = "tessera.chat.export"
    package static let version: Int64 = 1

    /// The lines between the header and the trailer, in order.
    static func entities(_ flat: [FlatExport]) -> [ExportedEntity] {
        [PrincipalExport.principal, ConversationExport.conversation, ConversationExport.message] + flat.map(\.entity)
    }

    /// The rows changed in a way that would leave a gap.
    package struct Changed: Error {}

    /// Bytes of a piece, roughly.
    private static let piece = 64 * 1024
    /// Conversations whose first messages are read in one transaction, and the share of each.
    private static let group: Int64 = 25
    private static let groupSize: Int64 = 256 * 1024
    private static let firstRows: Int64 = 100
    private static let firstSize: Int64 = 64 * 1024
    /// Limits of one read of a longer conversation.
    private static let rows: Int64 = 500
    private static let size: Int64 = 1 << 20

    private struct Conversation {
        let row: Row
        let id: String
        let last: Int64
        let messages: [Row]
    }

    private enum Phase {
        case header
        case conversations(after: String)
        /// After the row with the key `place`; `nil` at the beginning.
        case flat(index: Int, after: [String: SQLValue]?)
        case trailer
        case done
    }

    /// Called before a message is read that is larger than a read should be.
    package var willReadLargeMessage: @Sendable () async throws -> Void = {}

    private let database: any SQLDatabase
    private let flat: [FlatExport]
    private let user: String
    private let at: Instant
    private let principal: Row?
    private var phase = Phase.header
    /// Conversations that were read and not yet written, the next one last.
    private var waiting: [Conversation] = []
    private var current: (id: String, seq: Int64, last: Int64)?
    private var counts: [String: Int64] = [:]

    /// Throws `user_inactive` for a refused person; an unknown one has an empty export.
    init(of user: String, flat: [FlatExport], database: any SQLDatabase, at now: Instant) async throws {
        self.database = database
        self.flat = flat
        self.user = user
        at = now
        principal = try await database.run(PrincipalExport.read(id: user)).first
        if let principal {
            guard try principal.boolean("is_active"), try principal.optionalInstant("erased_at") == nil else {
                throw APIError(.userInactive)
            }
        }
    }

    /// `nil` after the trailer.
    package mutating func next() async throws -> [UInt8]? {
        var out: [UInt8] = []
        while out.count < Self.piece {
            if current != nil {
                try await writeOn(to: &out)
                continue
            }
            if let conversation = waiting.popLast() {
                try write(conversation, to: &out)
                continue
            }
            switch phase {
            case .header:
                writeHeader(to: &out)
                if let principal { try write(principal, PrincipalExport.principal, to: &out) }
                phase = .conversations(after: "")
            case .conversations(let place): try await readGroup(after: place)
            case .flat(let index, let place): try await writeFlat(index, after: place, to: &out)
            case .trailer:
                writeTrailer(to: &out)
                phase = .done
            case .done: return out.isEmpty ? nil : out
            }
        }
        return out
    }

    private mutating func readGroup(after place: String) async throws {
        let rows = try await database.run(
            ConversationExport.conversations(of: user, after: place, limit: Self.group, size: Self.groupSize)
        ).rows
        guard let last = rows.last else {
            phase = .flat(index: 0, after: nil)
            return
        }
        phase = .conversations(after: try last.text("id"))
        var transaction = Transaction()
        let reads = try rows.map { row in
            transaction.add(
                ConversationExport.messages(
                    of: try row.text("id"),
                    owner: user,
                    after: 0,
                    upTo: try row.integer("last_seq"),
                    size: Self.firstSize,
                    limit: Self.firstRows
                )
            )
        }
        let results = try await database.run(transaction)
        for (row, read) in zip(rows, reads).reversed() {
            waiting.append(
                Conversation(
                    row: row,
                    id: try row.text("id"),
                    last: try row.integer("last_seq"),
                    messages: results[read].rows
                )
            )
        }
    }

    private mutating func write(_ conversation: Conversation, to out: inout [UInt8]) throws {
        try write(conversation.row, ConversationExport.conversation, to: &out)
        current = (conversation.id, 0, conversation.last)
        try write(conversation.messages, to: &out)
    }

    /// They must be the next messages of the current conversation.
    private mutating func write(_ messages: [Row], to out: inout [UInt8]) throws {
        guard var current else { return }
        for row in messages {
            guard try row.integer("seq") == current.seq + 1 else { throw Changed() }
            current.seq += 1
            try write(row, ConversationExport.message, to: &out)
        }
        self.current = current.seq == current.last ? nil : current
    }

    private mutating func writeOn(to out: inout [UInt8]) async throws {
        guard let current else { return }
        func read(size: Int64, limit: Int64) async throws -> [Row] {
            try await database.run(
                ConversationExport.messages(
                    of: current.id,
                    owner: user,
                    after: current.seq,
                    upTo: current.last,
                    size: size,
                    limit: limit
                )
            ).rows
        }
        var rows = try await read(size: Self.size, limit: Self.rows)
        // A single message above the limit.
        if rows.isEmpty {
            try await willReadLargeMessage()
            rows = try await read(size: .max, limit: 1)
        }
        guard !rows.isEmpty else { throw Changed() }
        try write(rows, to: &out)
    }

    private mutating func writeFlat(
        _ index: Int,
        after place: [String: SQLValue]?,
        to out: inout [UInt8]
    ) async throws {
        guard index < flat.count else {
            phase = .trailer
            return
        }
        let flat = flat[index]
        let rows = try await database.run(flat.page(of: user, after: place, limit: Self.rows)).rows
        for row in rows { try write(row, flat.entity, to: &out) }
        if let last = rows.last, rows.count == Int(Self.rows) {
            phase = .flat(index: index, after: try flat.place(of: last))
        } else {
            phase = .flat(index: index + 1, after: nil)
        }
    }

    private mutating func write(_ row: Row, _ entity: ExportedEntity, to out: inout [UInt8]) throws {
        try entity.write(row, to: &out)
        counts[entity.name, default: 0] += 1
    }

    private func writeHeader(to out: inout [UInt8]) {
        let line = JSONWriter.object { writer in
            writer.field("entity", "header")
            writer.field("format", Self.format)
            writer.field("version", Self.version)
            writer.field("user_id", user)
            writer.field("exported_at", at)
        }
        out += line.bytes + [0x0A]
    }

    private func writeTrailer(to out: inout [UInt8]) {
        let line = JSONWriter.object { writer in
            writer.field("entity", "trailer")
            writer.object("counts") { writer in
                for name in Self.entities(flat).map(\.name) {
                    writer.key(named: name) { $0.integer(counts[name] ?? 0) }
                }
            }
        }
        out += line.bytes + [0x0A]
    }
}
