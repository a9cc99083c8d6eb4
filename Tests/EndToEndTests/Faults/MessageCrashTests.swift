// kill -9 while messages are appended, edited, deleted and truncated, and conversations are forked, trashed and
// restored, by one writer each and by many on one. ChatInvariants hold, and every acknowledged change is there.
import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@Suite("Crashes amid changes of messages", .serialized)
struct MessageCrashTests {
    private static let rounds = TestScope.rounds(5, long: 20)

    @Test("kill -9 of the service on SQLite amid edits, deletions, truncations, forks and the trash breaks no promise")
    func sqlite() async throws {
        try await killService(of: Installation.forCrashes(), engine: .sqlite)
    }

    @Test(
        "kill -9 of the service on PostgreSQL amid edits, deletions, truncations, forks and the trash breaks no promise"
    )
    func postgres() async throws {
        try await withDurableCluster { cluster in
            try await killService(of: Installation.forCrashes(on: cluster), engine: .postgres)
        }
    }

    private func killService(of installation: Installation, engine: TestEngine) async throws {
        var service = try await installation.startDev()
        let writer = try await CrashWriter(installation, signupWriters: 0, changes: true)
        for _ in 0..<Self.rounds {
            let kill = try await writer.kill(.process(service.identifier, signal: SIGKILL), acknowledged: 256)
            #expect(kill.open >= 32)
            #expect(try await service.waitForExit() == .signal(SIGKILL))
            service = try await installation.startDev()
        }
        try await writer.waitForAcknowledgements(128)
        let log = try await writer.stop()
        #expect(try await service.terminate() == .status(0))
        #expect(log.odd.isEmpty, "answers that are none of the three: \(log.odd.prefix(10))")
        let database = try await engine.open(installation.databaseURL("chat"))
        let audit = try await MessageChangeAudit(log, database)
        let broken = try await ChatInvariant.broken(in: database, ChatInvariant.afterKill)
        await database.close()
        print("kill -9 amid changes on \(engine): \(audit.summary)")
        #expect(
            audit.checked.allSatisfy { $0.value >= ($0.key == "forked" ? 10 : 20) } && audit.checked.count == 7,
            "\(audit.checked)"
        )
        #expect(audit.lost.isEmpty, "acknowledged and not there: \(audit.lost.prefix(10))")
        #expect(broken == [])
    }
}

/// Compares the messages with the writers' records.
///
/// A transaction's id ends in its kind and a growing number: `c7.a12` appended, `c7.e13:c7.m1` edited that message,
/// `c7.d14:c7.m1` deleted it, `c7.t15:2` truncated past 2, `c7.x16` moved the conversation to the trash, `c7.r17` back.
/// One writer alone changes such a conversation, one request at a time, so a message has the text of its last
/// acknowledged edit or of a later one. In `s1` many writers append, each changes only its own messages, and `s1.f18`
/// is the title of a fork.
private struct MessageChangeAudit {
    /// How many acknowledged transactions of each kind were checked.
    private(set) var checked: [String: Int] = [:]
    private(set) var lost: [String] = []

    private static let names: [Substring: String] = [
        "a": "appended", "e": "edited", "d": "deleted", "f": "forked", "x": "trashed", "r": "restored",
    ]

    var summary: String {
        checked.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
            + "; lost \(lost.count)"
    }

    private struct Message {
        let sequence: Int64
        let isDeleted: Bool
        let transaction: Int
        /// The edit whose text it has, if any.
        let edit: Int?
    }

    init(_ log: CrashLog, _ database: any SQLDatabase) async throws {
        let statement = Statement(
            "tests.messages",
            .reads,
            "SELECT id, conversation_id, seq, deleted_at, content_text FROM messages"
        )
        // Compiled once: a literal in a loop is compiled each time, which blocked a thread for minutes.
        let messageName = /[cs]([0-9]+)(?:\.a([0-9]+))?\.m[0-9]+/
        let editedText = /edit ([0-9]+)/
        let transactionName = /([cs][0-9]+)(?:\.([aedtxrfgh])([0-9]+)(?::(.+))?)?/
        var isTrashed: [String: Bool] = [:]
        var forks: Set<String> = []
        let trash = Statement(
            "tests.conversations_and_forks",
            .reads,
            "SELECT id, title, deleted_at, forked_from_conversation_id FROM conversations WHERE version > 0"
        )
        for row in try await database.run(trash.bind(), priority: .long).rows {
            isTrashed[try row.text("id")] = try row.optionalInstant("deleted_at") != nil
            if try row.optionalText("forked_from_conversation_id") != nil, let title = try row.optionalText("title") {
                forks.insert(title)
            }
        }
        // Later moves to and from the trash that may have succeeded, by conversation.
        var moves: [String: [(kind: Substring, number: Int)]] = [:]
        for transaction in log.acknowledged.union(log.unknown) {
            guard let match = transaction.wholeMatch(of: transactionName), let kind = match.2, "xr".contains(kind)
            else { continue }
            moves[String(match.1), default: []].append((kind, match.3.flatMap { Int($0) } ?? 0))
        }
        var messages: [String: Message] = [:]
        var conversations: [String: [String]] = [:]
        for row in try await database.run(statement.bind(), priority: .long).rows {
            let id = try row.text("id")
            let text = try row.optionalText("content_text") ?? ""
            guard let match = id.wholeMatch(of: messageName) else { continue }
            messages[id] = Message(
                sequence: try row.integer("seq"),
                isDeleted: try row.optionalInstant("deleted_at") != nil,
                transaction: Int(match.2 ?? match.1) ?? 0,
                edit: text.wholeMatch(of: editedText).flatMap { Int($0.1) }
            )
            conversations[try row.text("conversation_id"), default: []].append(id)
        }
        for transaction in log.acknowledged {
            guard let match = transaction.wholeMatch(of: transactionName) else { continue }
            let (conversation, kind, target) = (String(match.1), match.2 ?? "a", String(match.4 ?? ""))
            let number = match.3.flatMap { Int($0) } ?? 0
            let isThere: Bool
            switch kind {
            case "a":
                isThere = messages["\(transaction).m0"] != nil && messages["\(transaction).m1"] != nil
            case "e":
                isThere = messages[target].map { $0.isDeleted || ($0.edit ?? 0) >= number } ?? false
            case "d":
                isThere = messages[target]?.isDeleted ?? false
            case "x", "r":
                let later = moves[conversation]?.contains { $0.kind != kind && $0.number > number } ?? false
                isThere = isTrashed[conversation].map { $0 == (kind == "x") || later } ?? false
            case "f":
                isThere = forks.contains(transaction)
            case "g", "h":
                // Any later request may have moved it back.
                continue
            default:
                let after = Int64(target) ?? 0
                isThere = (conversations[conversation] ?? []).compactMap { messages[$0] }
                    .allSatisfy { $0.isDeleted || $0.sequence <= after || $0.transaction > number }
            }
            let name = Self.names[kind] ?? "truncated"
            checked[name, default: 0] += 1
            if !isThere { lost.append(transaction) }
        }
    }
}
