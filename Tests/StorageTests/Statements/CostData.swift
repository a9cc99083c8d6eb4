// What the statements of a chat database are measured on: one person with very much and others with very little, and
// the three states in which PostgreSQL's statistics may be while they read it.
import Storage
import Testing

/// What PostgreSQL knows of the tables when it plans.
enum KnownStatistics: String, CaseIterable, CustomTestStringConvertible {
    /// Nothing: the database was never analysed, and the plans are from when the tables were empty.
    case none
    /// Some hundred small conversations.
    case manySmall
    /// One conversation that is nearly everything.
    case oneHuge

    var testDescription: String { rawValue }
}

enum CostData {
    /// Messages of the long conversation, and tombstones of the truncated one.
    static let length = 8000

    /// Triggers off: changes, words and references are inserted as they would have been.
    static func script(_ inserts: String) -> String {
        "SET session_replication_role = replica;\n\(inserts)\nSET session_replication_role = DEFAULT;"
    }

    private static let at = "TIMESTAMPTZ '2026-11-01' + n * INTERVAL '1 minute'"

    private static func principals(_ prefix: String, _ count: Int) -> String {
        """
        INSERT INTO principals (id, first_seen_at, last_seen_at) SELECT '\(prefix)' || n, \(at), \(at)
        FROM generate_series(1, \(count)) n;
        """
    }

    /// Conversations `<prefix>-c<n>` of `owners`, each with so many messages in a row.
    private static func conversations(_ prefix: String, _ count: Int, owner: String, messages: Int) -> String {
        """
        INSERT INTO conversations (id, owner_id, title, slug, created_at, updated_at, last_seq, message_count,
            head_message_id, archived_at, pinned_at, has_tags)
        SELECT '\(prefix)-c' || n, \(owner), 'Title', '\(prefix)-s' || n, \(at), \(at), \(messages), \(messages),
            '\(prefix)-c' || n || '-m\(messages)', CASE WHEN n % 50 = 0 THEN \(at) END,
            CASE WHEN n % 70 = 0 THEN \(at) END, TRUE
        FROM generate_series(1, \(count)) n;
        \(self.messages("'\(prefix)-c' || c", of: "generate_series(1, \(count)) c", owner: "'\(prefix)'", messages))
        """
    }

    private static func messages(_ conversation: String, of series: String, owner: String, _ count: Int) -> String {
        """
        INSERT INTO messages (id, conversation_id, seq, parent_id, author_id, role, tokens_in, tokens_out, tokens_total,
            created_at, updated_at, content_text, parts, search, skip_seq)
        SELECT \(conversation) || '-m' || n, \(conversation), n,
            CASE WHEN n > 1 THEN \(conversation) || '-m' || (n - 1) END, \(owner), 'user', 1, 2, 3, \(at), \(at),
            'Some words', '[]', 'some words', NULLIF((n - 2) / 64 * 64, 0)
        FROM \(series), generate_series(1, \(count)) n;
        """
    }

    /// Forty people with eight conversations of twelve messages each.
    static let small = script(
        """
        \(principals("few", 40))
        \(conversations("few", 320, owner: "'few' || (n % 40 + 1)", messages: 12))
        INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
        SELECT 'few' || (n % 40 + 1), 'message', 'few-c1-m' || n, 'few-c' || n, 'insert', 1, \(at)
        FROM generate_series(1, 3000) n;
        """
    )

    /// One person, with a conversation that is nearly everything.
    static let huge = script(
        """
        \(principals("busy", 1))
        INSERT INTO conversations (id, owner_id, title, created_at, updated_at, last_seq, message_count, head_message_id)
        SELECT id, 'busy1', 'Title', \(at), \(at), \(length), \(length), id || '-m\(length)'
        FROM (VALUES ('huge', 1), ('dead', 2)) AS rows (id, n);
        \(messages("c", of: "(VALUES ('huge')) AS rows (c)", owner: "'busy1'", length))
        INSERT INTO messages (id, conversation_id, seq, parent_id, role, created_at, updated_at, deleted_at, parts)
        SELECT 'dead-m' || n, 'dead', n, CASE WHEN n > 1 THEN 'dead-m1' END, 'user', \(at), \(at),
            CASE WHEN n > 1 THEN \(at) END, '[]'
        FROM generate_series(1, \(length)) n;
        -- Forty answers to one question stand where the tombstones are.
        INSERT INTO messages (id, conversation_id, seq, parent_id, role, created_at, updated_at, parts)
        SELECT 'dead-a' || n, 'dead', \(length) + n, 'dead-m1', 'user', \(at), \(at), '[]' FROM generate_series(1, 40) n;
        UPDATE conversations SET last_seq = last_seq + 40, message_count = 41, head_message_id = 'dead-a40'
        WHERE id = 'dead';
        INSERT INTO changes (principal_id, entity, entity_id, conversation_id, op, version, at)
        SELECT 'busy1', 'message', 'huge-m' || n, 'huge', 'insert', 1, \(at) FROM generate_series(1, \(length)) n;
        """
    )

    /// What else that person has, and what each kind of row is measured with. Never analysed.
    static let rest = script(
        """
        \(conversations("own", 3000, owner: "'busy1'", messages: 1))
        UPDATE conversations SET deleted_at = updated_at WHERE id LIKE 'own-c%' AND CAST(substr(id, 6) AS int) % 3 = 0;
        UPDATE conversations SET version = -1 WHERE id IN ('own-c300', 'own-c600');
        UPDATE conversations SET version = 0, deleted_at = updated_at, forked_from_conversation_id = 'huge',
            message_count = 0 WHERE id = 'own-c900';
        DELETE FROM messages WHERE conversation_id = 'own-c900';
        INSERT INTO votes (message_id, user_id, conversation_id, value, created_at, updated_at)
        SELECT 'huge-m' || n, 'busy1', 'huge', 1, \(at), \(at) FROM generate_series(1, 4000) n;
        INSERT INTO tags (id, owner_id, name, name_key, created_at, updated_at)
        SELECT 'tag' || n, 'busy1', 'Tag ' || n, 'tag ' || n, \(at), \(at) FROM generate_series(1, 2000) n;
        INSERT INTO conversation_tags (conversation_id, tag_id)
        SELECT 'own-c' || n, 'tag1' FROM generate_series(1, 3000) n
        UNION ALL SELECT 'own-c' || n, 'tag' || (n + 1) FROM generate_series(1, 1900) n
        UNION ALL SELECT 'huge', 'tag' || n FROM generate_series(1, 10) n;
        INSERT INTO idempotency_keys
            (principal_id, key, route, request_hash, seed, target_id, base_seq, made_at, expires_at)
        SELECT 'busy1', 'k' || n, 'POST', 'h', 's' || n, 'huge', -1, \(at), \(at) FROM generate_series(1, 3000) n;
        INSERT INTO usage_events (user_id, conversation_id, message_id, tokens_total, created_at)
        SELECT 'busy1', 'huge', 'huge-m' || n, 3, \(at) FROM generate_series(1, \(length)) n;
        INSERT INTO usage_totals (user_id, day, model, tokens_total)
        SELECT 'busy1', '2026-10-' || (10 + n % 20), 'model-' || n, 3 FROM generate_series(1, 60) n;
        INSERT INTO quota_reservations (id, user_id, tokens, created_at, expires_at)
        SELECT 'r' || n, 'busy1', 3, \(at), \(at) FROM generate_series(1, 20) n;
        INSERT INTO stream_tickets (ticket_hash, principal_id, sealed_token, expires_at)
        SELECT 'h' || n, 'busy1', 's', \(at) FROM generate_series(1, 20) n;
        """
    )

    static func known(_ statistics: KnownStatistics) -> String {
        switch statistics {
        case .none: ""
        case .manySmall: small + "\nANALYZE;"
        case .oneHuge: huge + "\nANALYZE;"
        }
    }

    static func unknown(_ statistics: KnownStatistics) -> String {
        switch statistics {
        case .none: small + huge + rest
        case .manySmall: huge + rest
        case .oneHuge: small + rest
        }
    }

    // MARK: Values

    /// Whose rows a statement is asked for.
    enum Target: String, CaseIterable {
        /// The long conversation.
        case huge
        /// The one whose messages are deleted.
        case dead
        /// Another person's, with twelve messages.
        case small

        var conversation: String { self == .small ? "few-c7" : rawValue }
        var owner: String { self == .small ? "few8" : "busy1" }
    }

    /// The values of a statement's parameters, by their names.
    static func values(of statement: Statement, _ target: Target) -> [SQLValue] {
        let own = overrides[statement.name] ?? [:]
        // A positional statement has no names.
        let names =
            statement.parameterNames + statement.parameters.dropFirst(statement.parameterNames.count).map { _ in "" }
        return zip(names, statement.parameters).map { name, type in own[name] ?? value(name, type, target) }
    }

    /// Makes the person one who is being erased, or the conversation one that is being imported.
    static func script(before statement: Statement, _ target: Target) -> String {
        if statement.name.hasPrefix("erase.") {
            return """
                UPDATE principals SET erased_at = now() WHERE id = '\(target.owner)';
                INSERT INTO erasures (id, principal_id, reason, requested_at)
                VALUES ('gone', '\(target.owner)', 'requested', now());
                """
        }
        guard statement.name.hasPrefix("import.") else { return "" }
        return "UPDATE conversations SET version = 0, deleted_at = now() WHERE id = '\(target.conversation)'"
    }

    private static func value(_ name: String, _ type: SQLType, _ target: Target) -> SQLValue {
        let (conversation, owner) = (target.conversation, target.owner)
        switch (name, type) {
        case ("conversation", _), ("conversation_id", _), ("source", _), ("target", _), ("importing", _):
            return .text(conversation)
        case ("owner", _), ("voter", _), ("principal", _), ("user_id", _), ("owner_id", _), ("author", _):
            return .text(owner)
        case ("id", .text): return .text(conversation)
        case ("message", _), ("head", _), ("parent", _):
            return .text(target == .small ? "few-c7-m9" : target == .huge ? "huge-m5000" : "dead-a7")
        case ("leaf", _), ("edge", .text), ("expected", _), ("model", _), ("archived", _), ("pinned", _),
            ("tag_key", _), ("title", _), ("slug", _), ("expected_version", _):
            return .null
        case ("erasure", _): return .text("gone")
        case ("fork", _): return .text("own-c900")
        case ("tag", _): return .text("tag7")
        case ("key", _): return .text("tag 7")
        case ("limit", _): return .integer(20)
        case ("bytes", _): return .integer(1 << 20)
        case ("edge", .integer), ("sequence", _): return .integer(target == .small ? 3 : Int64(length) - 60)
        case ("count", _), ("messages", _): return .integer(2)
        case ("offset", _): return .integer(0)
        case ("steps", _): return .integer(100)
        case ("number", _): return .integer(1)
        // The changes of all are numbered in one row.
        case ("last_change", _): return .integer(Int64(length) + 3000 - 10)
        case ("after", .integer): return .integer(10)
        case ("after", .text): return .text("own-c2990")
        case ("last", _): return .integer(100)
        case ("day", _), ("month", _), ("first", _): return .text("2026-10-15")
        case (_, .boolean): return .boolean(true)
        case (_, .integer): return .integer(1)
        case (_, .text): return .text("x")
        case (_, .bytes): return .null
        case (_, .instant): return .instant(Instant(rfc3339: "2026-11-01T20:00:00Z") ?? .distantPast)
        case (_, .words): return .words(IndexedWords(text: "other words"))
        }
    }

    private static let overrides: [String: [String: SQLValue]] = [
        "messages.insert": [
            "id": .text("fresh"), "is_new": .boolean(false), "follows_head": .boolean(false),
            "role": .text("user"), "type": .text("normal"), "status": .text("completed"), "parts": .text("[]"),
            "metadata": .text("{}"),
        ],
        "conversations.advance": ["is_new": .boolean(false), "count": .integer(0)],
        "conversations.sidebar_older": ["rank": .integer(0)], "conversations.sidebar_newer": ["rank": .integer(0)],
        "conversations.sidebar_older_with_last": ["rank": .integer(0)],
        "conversations.sidebar_newer_with_last": ["rank": .integer(0)],
        "forks.copy": ["number": .integer(100)],
        "conversations.older_tagged_many": ["tag": .text("tag1")],
        "conversations.newer_tagged_many": ["tag": .text("tag1")],
        "conversations.numbered_tagged_many": ["tag": .text("tag1")],
        "tags.rename": ["id": .text("tag7")], "tags.is_there": ["id": .text("tag7")],
        "tags.delete": ["id": .text("tag7")], "conversation_tags.take_off": ["id": .text("tag1")],
        "conversation_tags.lose": ["id": .text("tag1")],
        "idempotency.claim": ["key": .text("k7")], "idempotency.close": ["key": .text("k7")],
        "idempotency.release": ["key": .text("k7"), "seed": .text("s7")], "idempotency.read": ["key": .text("k7")],
        "reservations.delete": ["id": .text("r7")], "reservations.record": ["id": .text("r7")],
        "reservations.count": ["id": .text("r7")], "reservations.spend": ["id": .text("r7")],
        "conversations.insert": ["id": .text("fresh"), "title_source": .null, "visibility": .text("private")],
        "conversations.change": ["visibility": .null, "head": .null],
        "messages.change": ["type": .null, "status": .null],
        "export.conversations": ["after": .text(""), "size": .integer(1 << 20)],
        "export.messages": ["size": .integer(1 << 20)],
        "export.votes": ["message_id": .text("")],
        "export.usage_totals": ["model": .text("")],
        "import.conversation": ["id": .text("fresh"), "title_source": .null, "visibility": .text("private")],
        "import.message": [
            "id": .text("fresh"), "role": .text("user"), "type": .text("normal"), "status": .text("completed"),
        ],
        "import.finish_conversation": ["last": .integer(Int64(length)), "deleted_at": .null],
        "import.whole_conversation": ["last": .integer(Int64(length))],
        "import.principal": ["id": .text("busy1")],
        "import.conversation_tags": ["tag_id": .text("tag 7")],
        "import.votes": ["message_id": .text("huge-m5000")],
        "import.usage_totals": ["model": .text("m")],
    ]
}
