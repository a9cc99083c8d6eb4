// What is in the databases after a crash, held against what the writers were told.
import Storage
import TestSupport
import Testing

/// The units of `CrashWriter` that are there, whole or half.
struct CrashAudit {
    private(set) var found: Set<String> = []
    /// Units of which something is missing, with what it is.
    private(set) var half: [String] = []

    /// Reads both databases. Nobody may write meanwhile.
    init(auth: any SQLDatabase, chat: any SQLDatabase) async throws {
        try await readConversations(chat)
        try await readSignups(auth)
    }

    // MARK: - Chat

    private static let conversations = Statement(
        "tests.conversations",
        .reads,
        [],
        """
        SELECT c.id, c.version, c.last_seq, c.message_count, COUNT(m.id) AS messages, MAX(m.seq) AS newest,
            (SELECT h.seq FROM messages h WHERE h.id = c.head_message_id AND h.conversation_id = c.id) AS head
        FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id
        GROUP BY c.id
        """
    )
    private static let messages = Statement("tests.messages", .reads, [], "SELECT id FROM messages")

    /// A conversation is made with three messages `c7.m0`…`c7.m2`; an append adds two, `c7.a9.m0` and `c7.a9.m1`.
    private mutating func readConversations(_ database: any SQLDatabase) async throws {
        let results = try await database.run([Self.conversations(), Self.messages()])
        var messages: [String: Int] = [:]
        for row in results[1].rows {
            let id = try row.text("id")
            guard let end = id.lastIndex(of: ".") else { continue }
            messages[String(id[..<end]), default: 0] += 1
        }
        for row in results[0].rows {
            let id = try row.text("id")
            // The samples of `tessera dev` have ids that the service made.
            guard id.wholeMatch(of: /c[0-9]+/) != nil else { continue }
            found.insert(id)
            let version = try row.integer("version")
            let numbers = try ["last_seq", "message_count", "messages", "newest", "head"].map(row.optionalInteger)
            // The number of the newest message is the number of all messages: no gap, and no counter behind.
            if version < 1 || Set(numbers).count != 1 { half.append("\(id): version \(version), counters \(numbers)") }
            if messages[id] == nil { half.append("\(id): no message") }
        }
        for (unit, count) in messages {
            if unit.wholeMatch(of: /c[0-9]+\.a[0-9]+/) != nil {
                found.insert(unit)
                if count != 2 { half.append("\(unit): \(count) of 2 messages") }
            } else if unit.wholeMatch(of: /c[0-9]+/) != nil, count != 3 {
                half.append("\(unit): \(count) of 3 messages")
            }
        }
    }

    // MARK: - Auth

    private static let signups = Statement(
        "tests.signups",
        .reads,
        [],
        """
        SELECT u.email,
            (SELECT COUNT(*) FROM accounts a WHERE a.user_id = u.id) AS accounts,
            (SELECT COUNT(*) FROM sessions s WHERE s.user_id = u.id) AS sessions,
            (SELECT COUNT(*) FROM refresh_tokens r WHERE r.user_id = u.id) AS refresh_tokens,
            (SELECT COUNT(*) FROM events e WHERE e.user_id = u.id) AS events
        FROM users u
        """
    )

    /// A signup is a user with one account, one session, its refresh token, and the event that tells of the user.
    private mutating func readSignups(_ database: any SQLDatabase) async throws {
        for row in try await database.run(Self.signups()).rows {
            let email = try row.text("email")
            guard email.wholeMatch(of: /u[0-9]+@example\.com/) != nil else { continue }
            found.insert(email)
            let counts = try ["accounts", "sessions", "refresh_tokens", "events"].map(row.int)
            if counts != [1, 1, 1, 1] { half.append("\(email): accounts, sessions, refresh tokens, events \(counts)") }
        }
    }
}

/// Expects of an audit what durability means, and prints the counts.
func expectDurable(_ audit: CrashAudit, _ log: CrashLog, _ what: String, kills: [CrashWriter.Kill] = []) {
    let known = log.acknowledged.union(log.refused).union(log.unknown)
    let lost = log.acknowledged.subtracting(audit.found)
    let revived = log.refused.intersection(audit.found)
    let strangers = audit.found.subtracting(known)
    let open = kills.map(\.open)
    print(
        """
        \(what): \(kills.count) kills, open requests at each \(open.min() ?? 0)…\(open.max() ?? 0); \
        acknowledged \(log.acknowledged.count), of these found \(log.acknowledged.count - lost.count); \
        unknown \(log.unknown.count), of these found \(log.unknown.intersection(audit.found).count); \
        refused \(log.refused.count), of these found \(revived.count); half \(audit.half.count); \(log.reasons)
        """
    )
    #expect(lost.isEmpty, "acknowledged and not there: \(lost.sorted().prefix(10))")
    #expect(audit.half.isEmpty, "half there: \(audit.half.prefix(10))")
    #expect(revived.isEmpty, "refused and yet there: \(revived.sorted().prefix(10))")
    #expect(strangers.isEmpty, "never sent: \(strangers.sorted().prefix(10))")
    #expect(log.odd.isEmpty, "answers that are neither: \(log.odd.prefix(10))")
    // The comparison compared something.
    #expect(log.acknowledged.count > 64 * kills.count)
}
