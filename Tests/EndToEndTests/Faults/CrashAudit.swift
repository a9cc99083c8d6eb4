// Compares the databases after a crash with the answers that the writers received.
import Storage
import TestSupport
import Testing

struct CrashAudit {
    private(set) var found: Set<String> = []
    /// Incomplete transactions, with what is missing.
    private(set) var half: [String] = []

    /// No writer may be active.
    init(auth: any SQLDatabase, chat: any SQLDatabase) async throws {
        try await readConversations(chat)
        try await readSignups(auth)
    }

    private static let conversations = Statement(
        "tests.conversations",
        .reads,
        """
        SELECT c.id, c.version, c.last_seq, c.message_count, COUNT(m.id) AS messages, MAX(m.seq) AS newest,
            (SELECT h.seq FROM messages h WHERE h.id = c.head_message_id AND h.conversation_id = c.id) AS head
        FROM conversations c LEFT JOIN messages m ON m.conversation_id = c.id
        GROUP BY c.id
        """
    )
    private static let messages = Statement("tests.messages", .reads, "SELECT id FROM messages")

    /// A conversation begins with three messages `c7.m0`…`c7.m2`; an append adds two, `c7.a9.m0` and `c7.a9.m1`.
    private mutating func readConversations(_ database: any SQLDatabase) async throws {
        var transaction = Transaction()
        let conversations = transaction.add(Self.conversations.bind())
        let ids = transaction.add(Self.messages.bind())
        let results = try await database.run(transaction)
        var messages: [String: Int] = [:]
        for row in results[ids].rows {
            let id = try row.text("id")
            guard let end = id.lastIndex(of: ".") else { continue }
            messages[String(id[..<end]), default: 0] += 1
        }
        // Compiled once: a literal in a loop is compiled each time.
        let (made, appended) = (/c[0-9]+/, /c[0-9]+\.a[0-9]+/)
        for row in results[conversations].rows {
            let id = try row.text("id")
            // The service made the ids of the samples.
            guard id.wholeMatch(of: made) != nil else { continue }
            found.insert(id)
            let version = try row.integer("version")
            let numbers = try ["last_seq", "message_count", "messages", "newest", "head"].map(row.optionalInteger)
            // The newest message's number is the count of all messages: no gap, and no counter behind.
            if version < 1 || Set(numbers).count != 1 { half.append("\(id): version \(version), counters \(numbers)") }
            if messages[id] == nil { half.append("\(id): no message") }
        }
        for (transaction, count) in messages {
            if transaction.wholeMatch(of: appended) != nil {
                found.insert(transaction)
                if count != 2 { half.append("\(transaction): \(count) of 2 messages") }
            } else if transaction.wholeMatch(of: made) != nil, count != 3 {
                half.append("\(transaction): \(count) of 3 messages")
            }
        }
    }

    private static let signups = Statement(
        "tests.signups",
        .reads,
        """
        SELECT u.email,
            (SELECT COUNT(*) FROM accounts a WHERE a.user_id = u.id) AS accounts,
            (SELECT COUNT(*) FROM sessions s WHERE s.user_id = u.id) AS sessions,
            (SELECT COUNT(*) FROM refresh_tokens r WHERE r.user_id = u.id) AS refresh_tokens,
            (SELECT COUNT(*) FROM events e WHERE e.user_id = u.id) AS events
        FROM users u
        """
    )

    /// A signup is a user with one account, one session, its refresh token, and an event.
    private mutating func readSignups(_ database: any SQLDatabase) async throws {
        let address = /u[0-9]+@example\.com/
        for row in try await database.run(Self.signups.bind()).rows {
            let email = try row.text("email")
            guard email.wholeMatch(of: address) != nil else { continue }
            found.insert(email)
            let counts = try ["accounts", "sessions", "refresh_tokens", "events"].map(row.int)
            if counts != [1, 1, 1, 1] { half.append("\(email): accounts, sessions, refresh tokens, events \(counts)") }
        }
    }
}

struct CrashVerdict {
    let lost: [String]
    let half: [String]
    /// Refused as not committed, and present.
    let revived: [String]
    let strangers: [String]
    let summary: String

    init(_ audit: CrashAudit, _ log: CrashLog) {
        lost = log.acknowledged.subtracting(audit.found).sorted()
        half = audit.half
        revived = log.refused.intersection(audit.found).sorted()
        strangers = audit.found.subtracting(log.acknowledged).subtracting(log.refused).subtracting(log.unknown).sorted()
        summary = """
            acknowledged \(log.acknowledged.count), of these found \(log.acknowledged.count - lost.count); \
            unknown \(log.unknown.count), of these found \(log.unknown.intersection(audit.found).count); \
            refused \(log.refused.count), of these found \(revived.count); half \(half.count); \(log.reasons)
            """
    }

    func expectClean() {
        #expect(lost.isEmpty, "acknowledged and not there: \(lost.prefix(10))")
        #expect(half.isEmpty, "half there: \(half.prefix(10))")
        #expect(revived.isEmpty, "refused and yet there: \(revived.prefix(10))")
        #expect(strangers.isEmpty, "never sent: \(strangers.prefix(10))")
    }
}

@Suite("The audit after a crash")
struct CrashAuditTests {
    @Test("sees what is lost, half there, revived or never sent", arguments: TestEngine.allCases)
    func seesFaults(engine: TestEngine) async throws {
        try await withDatabase(engine, service: "auth") { auth in
            try await withDatabase(engine, service: "chat") { chat in
                try await chat.withMigrationLock { try $0.execute(script: Self.damage) }
                try await auth.withMigrationLock { try $0.execute(script: Self.signupWithoutSession) }
                let log = CrashLog(
                    """
                    acknowledged create c1
                    acknowledged create c2
                    refused create c3 503 database_unavailable
                    unknown append c1.a7 closed
                    odd create c9 500 internal_error
                    """
                )
                let verdict = CrashVerdict(try await CrashAudit(auth: auth, chat: chat), log)
                #expect(verdict.lost == ["c2"])
                #expect(verdict.revived == ["c3"])
                #expect(verdict.strangers == ["c4", "c5", "u6@example.com"])
                // c1 is whole; its append lacks a message that its counters do not count.
                #expect(Set(verdict.half.map { $0.prefix { $0 != ":" } }) == ["c1.a7", "c4", "c5", "u6@example.com"])
                #expect(log.odd.count == 1)
            }
        }
    }

    /// c1 with three messages and one of two appended; c3 whole; c4 with a message too few; c5 with a counter behind.
    private static let damage = """
        INSERT INTO principals (id, first_seen_at, last_seen_at) VALUES ('p', \(time), \(time));
        INSERT INTO conversations (id, owner_id, head_message_id, last_seq, message_count, created_at, updated_at)
        VALUES ('c1', 'p', 'c1.a7.m0', 4, 4, \(time), \(time)), ('c3', 'p', 'c3.m2', 3, 3, \(time), \(time)),
            ('c4', 'p', 'c4.m1', 2, 2, \(time), \(time)), ('c5', 'p', 'c5.m2', 3, 2, \(time), \(time));
        INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, parts)
        VALUES \(messages.map { "('\($0)', '\($0.prefix(2))', \($1), 'user', \(time), \(time), '[]')" }.joined(separator: ", "));
        """
    private static let messages: [(String, Int)] = [
        ("c1.m0", 1), ("c1.m1", 2), ("c1.m2", 3), ("c1.a7.m0", 4), ("c3.m0", 1), ("c3.m1", 2), ("c3.m2", 3),
        ("c4.m0", 1), ("c4.m1", 2), ("c5.m0", 1), ("c5.m1", 2), ("c5.m2", 3),
    ]
    private static let signupWithoutSession = """
        INSERT INTO users (id, email, email_key, created_at, updated_at)
        VALUES ('u6', 'u6@example.com', 'u6@example.com', \(time), \(time));
        """
    private static let time = "(SELECT MIN(applied_at) FROM schema_migrations)"
}
