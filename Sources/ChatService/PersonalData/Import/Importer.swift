// The second pass: rows come back as they were, with ids, numbers, versions, times and bytes, for the named person.
// Importing twice changes nothing, also after a crash in between.
//
// Conversations stay invisible until all of their messages, tags and votes are there. At the end one statement each
// makes them visible. So an invisible conversation is always one that this file still fills, and a vote or tag that was
// removed since does not return to an existing conversation.
//
// An id of another user is refused and never adopted; one such message refuses its conversation. An existing
// conversation of the person stays unchanged.
import OpenSSLCrypto
import ServiceKit
import Storage

package struct ImportReport: Sendable {
    package fileprivate(set) var conversations = 0
    package fileprivate(set) var messages: Int64 = 0
    /// Conversations that existed before.
    package fileprivate(set) var present = 0
    /// Rows besides conversations and messages.
    package fileprivate(set) var others = 0
    /// Of those, the ones left out, by entity: they existed, their conversation did, or their id is taken.
    package fileprivate(set) var skipped: [String: Int] = [:]
    package fileprivate(set) var refused: [String] = []
}

/// Imports an export line by line. A value with one owner.
package struct Importer: Sendable {
    /// Limits of one transaction: statements, or bytes of lines.
    private var size = StepSize(limit: 200)
    private static let bytes = Int(MessageBatch.bytes)

    /// Messages of the conversations that become visible in one transaction, which counts each of them.
    private static let counted: Int64 = 10_000
    /// Before this has passed, invisible conversations are not leftovers of a dead process.
    private static let maxAge: Duration = .seconds(86_400)

    private enum Outcome {
        case finish(conversation: String, messages: Int64)
        case flat(String)
    }

    private struct Conversation {
        let id: String
        let last: Int64
        let version: Int64
        let deletedAt: SQLValue
    }

    private let database: any SQLDatabase
    private let clock: Clock
    private let owner: String
    private let flat: [FlatExport]
    private var source = ""
    private var number = 0
    private var kind = "user"
    /// The file's conversations, which come before the flat rows; the current one last. All are still invisible.
    private var conversations: [Conversation] = []
    private var isInConversation = false
    private var hadConversations = false
    /// The keys of the file's tags by their ids; the person may have the tag under another id.
    private var tags: [String: SQLValue] = [:]
    private var isWhole = false
    private var principal: [String: SQLValue]?
    /// Whether it is known which conversations are whole.
    private var isSettled = false
    /// Whether the file had conversations, and none of them was taken or there before: then nothing of it is taken.
    private var isRefused = false
    /// By conversation, in place of the heads in the file.
    private let heads: [String: String?]
    /// The statements of the next transaction, each with its expected outcome.
    private var pending: [(statement: BoundStatement, outcome: Outcome?)] = []
    private var weight = 0
    private var report = ImportReport()

    init(
        for owner: String,
        flat: [FlatExport],
        heads: [String: String?] = [:],
        database: any SQLDatabase,
        clock: Clock
    ) {
        self.flat = flat
        self.owner = owner
        self.heads = heads
        self.database = database
        self.clock = clock
    }

    /// For a file that `ImportCheck` has passed.
    package mutating func take(_ line: [UInt8]) async throws {
        number += 1
        let element = try ImportCheck.parse(line, number: number)
        let entity = element["entity"]?.text?.keyword ?? ""
        weight += line.count
        switch entity {
        case "header": source = element["user_id"]?.text?.verbatim ?? ""
        case "principal": try takePrincipal(element)
        case "conversation": try takeConversation(element)
        case "message": try takeMessage(element)
        case "trailer": isWhole = true
        default: try await takeFlat(entity, element)
        }
        if pending.count >= size.count || weight >= size.share(of: Self.bytes) { try await flush() }
    }

    /// Throws unless the file was read to its trailer.
    package mutating func finish() async throws -> ImportReport {
        guard isWhole else { throw ImportRefusal("the second reading ended after line \(number), before the trailer") }
        try await settle()
        if let principal, !isRefused { pending.append((PrincipalExport.merge(row: principal, into: owner), nil)) }
        try await flush()
        var messages: Int64 = 0
        for conversation in conversations {
            pending.append(
                (
                    ConversationImport.finish(
                        id: conversation.id,
                        owner: owner,
                        last: conversation.last,
                        version: conversation.version,
                        deletedAt: conversation.deletedAt
                    ),
                    .finish(conversation: conversation.id, messages: conversation.last)
                )
            )
            messages += conversation.last
            guard pending.count >= size.count || messages >= Self.counted else { continue }
            try await flush()
            messages = 0
        }
        conversations = []
        try await flush()
        // Nothing depends on it.
        try? await TableStatistics.refresh(in: database)
        return report
    }

    private func row(_ entity: ExportedEntity, _ element: JSONElement) throws(ImportRefusal) -> [String: SQLValue] {
        do throws(ImportRefusal) {
            return try entity.row(element) { $0 == source ? owner : $0 }
        } catch {
            throw ImportRefusal("line \(number): \(error)")
        }
    }

    private mutating func takePrincipal(_ element: JSONElement) throws {
        let row = try row(PrincipalExport.principal, element)
        if case .text(let kind)? = row["kind"] { self.kind = kind == "guest" ? "guest" : "user" }
        principal = row
    }

    private mutating func takeConversation(_ element: JSONElement) throws {
        var row = try row(ConversationExport.conversation, element)
        guard case .text(let id)? = row["id"], row["owner_id"] == .text(owner),
            case .integer(let last)? = row["last_seq"],
            last >= 0, case .integer(let version)? = row["version"], version > 0
        else { throw ImportRefusal("line \(number): the conversation is not one of this export's person") }
        if let head = heads[id] { row["head_message_id"] = head.sqlValue }
        let insert = ConversationImport.insertConversation(
            row: row,
            words: Self.words(of: row["title"]),
            hiddenUntil: clock.now() + Self.maxAge
        )
        pending.append((insert, nil))
        conversations.append(
            Conversation(id: id, last: last, version: version, deletedAt: row["deleted_at"] ?? .null)
        )
        isInConversation = true
        hadConversations = true
    }

    private mutating func takeMessage(_ element: JSONElement) throws {
        let row = try row(ConversationExport.message, element)
        guard isInConversation, let current = conversations.last, row["conversation_id"] == .text(current.id) else {
            throw ImportRefusal("line \(number): the message does not follow its conversation")
        }
        let words = Self.words(of: row["content_text"])
        pending.append((ConversationImport.insertMessage(row: row, owner: owner, words: words), nil))
    }

    /// For the search's index; an export does not have them.
    private static func words(of text: SQLValue?) -> SQLValue {
        guard case .text(let text)? = text else { return .null }
        return SearchText.words(of: text).sqlValue
    }

    private mutating func takeFlat(_ name: String, _ element: JSONElement) async throws {
        isInConversation = false
        try await settle()
        guard !isRefused else { return }
        guard let flat = flat.first(where: { $0.entity.name == name }) else {
            throw ImportRefusal("line \(number): \(name) is not known here")
        }
        var row = try row(flat.entity, element)
        if case .text(let id)? = row["id"], let key = row["name_key"] { tags[id] = key }
        if let tag = row["tag_id"] {
            // A tag that was made during the export may be missing in it.
            guard case .text(let id) = tag, let key = tags[id] else {
                report.skipped[name, default: 0] += 1
                return
            }
            row["tag_id"] = key
        }
        let insert = flat.insert(
            row: row,
            owner: owner,
            importing: conversations.last?.id,
            isAlone: !hadConversations
        )
        pending.append((insert, .flat(name)))
    }

    private mutating func settle() async throws {
        guard !isSettled else { return }
        isSettled = true
        try await flush()
        var whole: [Conversation] = []
        for conversation in conversations {
            let found = try await database.run(
                ConversationImport.wholeConversation(id: conversation.id, owner: owner, last: conversation.last)
            )
            if found.isEmpty { try await refuse(conversation.id) } else { whole.append(conversation) }
        }
        isRefused = whole.isEmpty && !report.refused.isEmpty && report.present == 0
        conversations = whole
    }

    mutating func flush() async throws {
        guard !pending.isEmpty else { return }
        var transaction = PrincipalTransaction(by: Caller(id: owner, kind: kind), at: clock.now())
        let handles = transaction.add(contentsOf: pending.map(\.statement))
        let results: PrincipalResults
        let begin = ContinuousClock.now
        do {
            results = try await database.run(transaction, priority: .long)
            size.took(.now - begin)
        } catch let error as StorageError {
            switch error {
            case .checkViolation, .notNullViolation:
                throw ImportRefusal("a row up to line \(number) has a value that no export has: \(error)")
            default: throw error
            }
        }
        for (handle, (_, outcome)) in zip(handles, pending) {
            let result = results[handle]
            switch outcome {
            case nil: break
            case .flat(let name):
                report.others += result.affected
                if result.affected == 0 { report.skipped[name, default: 0] += 1 }
            case .finish(let conversation, let messages):
                if result.isEmpty {
                    try await refuse(conversation)
                } else {
                    report.conversations += 1
                    report.messages += messages
                }
            }
        }
        pending = []
        weight = 0
    }

    /// Finds the reason why a conversation was not finished, and removes it.
    private mutating func refuse(_ conversation: String) async throws {
        let state = try await database.run(ConversationImport.state(id: conversation)).first
        if let state, try state.text("owner_id") == owner, try state.integer("version") > 0 {
            report.present += 1
            return
        }
        let isOwn = try state?.text("owner_id") == owner
        // In small transactions, as the trash does: there may be any number of messages.
        var transaction = Transaction(behind: owner)
        transaction.add(ConversationImport.drop(id: conversation, owner: owner, at: clock.now()))
        _ = try await database.run(transaction, priority: .long)
        try await Trash.purge(conversation, of: owner, in: database)
        report.refused.append(
            isOwn
                ? "conversation \(conversation): it is not whole, or the id of one of its messages is taken"
                : "conversation \(conversation): the id is somebody else's"
        )
    }
}
