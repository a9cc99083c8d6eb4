// Twenty thousand rows in every growing table, distributed as in a service, so that a planner with statistics would
// rather scan a table than make many look-ups.
import Storage

enum PlanData {
    static let rows = 20_000
    static let sessions = 100_000
    /// The first row's time; the others follow by the minute.
    static let start = Instant(seconds: 1_800_000_000)

    static func load(_ service: String, into database: any SQLDatabase) async throws {
        let sqlite = database.engine == .sqlite
        // Minutes after the start.
        func at(_ minutes: String) -> String {
            sqlite ? "(:start + (\(minutes)) * 60000000)" : "(:start + (\(minutes)) * INTERVAL '1 minute')"
        }
        let blob = sqlite ? "BLOB" : "bytea"
        let inserts = service == "auth" ? auth(at, blob) : chat(at)
        for (index, insert) in inserts.enumerated() {
            let count = insert.into.hasPrefix("sessions") ? sessions : rows
            let sql = """
                INSERT INTO \(insert.into)
                WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(count))
                SELECT \(insert.select)
                """
            // Not every table has times.
            let values: StatementValues = sql.contains(":start") ? ["start": start] : [:]
            let parameters: StatementParameters = sql.contains(":start") ? ["start": .instant] : [:]
            let statement = Statement("plan_data.\(index)", .writes, parameters, sql)
            _ = try await database.run(statement.bind(values), priority: .long)
        }
        try await database.withMigrationLock { try $0.execute(script: "ANALYZE") }
    }

    private typealias Insert = (into: String, select: String)

    private static func auth(_ at: (String) -> String, _ blob: String) -> [Insert] {
        [
            (
                "users (id, email, email_key, name, name_key, role, is_active, created_at, updated_at)",
                """
                'u' || n, 'u' || n || '@example.com', 'u' || n || '@example.com', 'Name ' || n, 'name ' || n,
                CASE WHEN n % 5000 = 0 THEN 'admin' WHEN n % 20 = 0 THEN 'premium' ELSE 'user' END, n % 50 <> 0,
                \(at("n")), \(at("n")) FROM numbers
                """
            ),
            (
                "accounts (id, user_id, provider_id, account_id, password_hash, created_at, updated_at)",
                "'a' || n, 'u' || n, 'password', 'u' || n, 'hash', \(at("n")), \(at("n")) FROM numbers"
            ),
            (
                """
                sessions (id, user_id, token_hash, auth_time, created_at, updated_at, last_seen_at, expires_at,
                    absolute_expires_at, required_version, global_version, revoked_at)
                """,
                """
                's' || n, 'u' || (n % 5000 + 1), CAST('h' || n AS \(blob)), \(at("n")), \(at("n")), \(at("n")),
                \(at("n")), \(at("n + 20160")), \(at("n + 129600")), 1, 1,
                CASE WHEN n % 20 = 0 THEN \(at("n + 60")) END FROM numbers
                """
            ),
            (
                "refresh_tokens (id, session_id, user_id, rotated_at, expires_at, created_at)",
                "'r' || n, 's' || n, 'u' || (n % 5000 + 1), \(at("n")), \(at("n + 129600")), \(at("n")) FROM numbers"
            ),
            (
                "events (at, kind, user_id)",
                "\(at("n")), CASE WHEN n % 100 = 0 THEN 'user.deleted' ELSE 'session.revoked' END, 'u' || n FROM numbers"
            ),
            (
                "client_assertions (client_id, jti, expires_at)",
                "'c' || (n % 20), 'j' || n, \(at("n")) FROM numbers"
            ),
            (
                "idempotency_keys (principal_id, key, route, request_hash, seed, made_at, held_until, expires_at)",
                "'u' || n, 'k', 'POST /', 'h', 's' || n, \(at("n")), \(at("n")), \(at("n + 1440")) FROM numbers"
            ),
            ("audit_log (at, action, target, outcome)", "\(at("n")), 'login', 'u' || n, 'success' FROM numbers"),
            ("email_key_conflicts (user_id, email_key)", "'u' || n, 'x' || n || '@example.com' FROM numbers"),
            (
                "rate_counters (key, count, window_ends_at, expires_at)",
                "'k' || n, 1, \(at("n")), \(at("n")) FROM numbers"
            ),
            (
                "devices (id, user_id, created_at, last_used_at, expires_at)",
                "'d' || n, 'u' || (n % 5000 + 1), \(at("n")), \(at("n")), \(at("n + 259200")) FROM numbers"
            ),
            ("deleted_user_tokens (key, expires_at)", "'user:g' || n, \(at("n")) FROM numbers"),
        ]
    }

    private static func chat(_ at: (String) -> String) -> [Insert] {
        [
            (
                "principals (id, first_seen_at, last_seen_at, is_active, deactivated_at, erased_at)",
                """
                'p' || n, \(at("n")), \(at("n")), n % 50 <> 1, CASE WHEN n % 50 = 1 THEN \(at("n")) END,
                CASE WHEN n % 20 = 0 THEN \(at("n")) END FROM numbers
                """
            ),
            (
                "erasures (id, principal_id, reason, requested_at, completed_at)",
                """
                'e' || n, 'p' || n, 'requested', \(at("n")), CASE WHEN n % 200 <> 0 THEN \(at("n")) END FROM numbers
                """
            ),
            ("erasure_counts (erasure_id, entity, removed)", "'e' || n, 'messages', n FROM numbers"),
            (
                """
                conversations (id, owner_id, title, slug, created_at, updated_at, last_seq, message_count, deleted_at,
                    archived_at, pinned_at, search)
                """,
                """
                'c' || n, 'p' || (n % 400 + 1), 'Title', 's' || n, \(at("n")), \(at("n")), 10, 10,
                CASE WHEN n % 30 = 0 THEN \(at("n")) END, CASE WHEN n % 4 = 0 THEN \(at("n")) END,
                CASE WHEN n % 25 = 0 THEN \(at("n")) END, 'title' FROM numbers
                """
            ),
            (
                """
                messages (id, conversation_id, seq, author_id, role, created_at, updated_at, content_text, parts, search)
                """,
                """
                'm' || n, 'c' || (n % 2000 + 1), n / 2000 + 1, 'p1', 'user', \(at("n")), \(at("n")), 'Some words',
                '[]', 'some words' FROM numbers
                """
            ),
            (
                "tags (id, owner_id, name, name_key, created_at, updated_at)",
                "'t' || n, 'p' || (n % 400 + 1), 'Tag ' || n, 'tag ' || n, \(at("n")), \(at("n")) FROM numbers"
            ),
            // A conversation's owner has every 400th tag, as every 400th conversation.
            ("conversation_tags (conversation_id, tag_id)", "'c' || n, 't' || n FROM numbers"),
            (
                "votes (message_id, user_id, conversation_id, value, created_at, updated_at)",
                "'m' || n, 'p' || (n % 400 + 1), 'c' || (n % 2000 + 1), 1, \(at("n")), \(at("n")) FROM numbers"
            ),
            (
                """
                idempotency_keys (principal_id, key, route, request_hash, seed, target_id, base_seq, made_at, expires_at)
                """,
                """
                'p' || (n % 400 + 1), 'k' || n, 'POST /v1/conversations', 'h', 's' || n, 'c' || n, -1, \(at("n")),
                \(at("n")) FROM numbers
                """
            ),
            (
                "usage_events (user_id, conversation_id, message_id, tokens_total, created_at)",
                "'p' || (n % 400 + 1), 'c' || (n % 2000 + 1), 'm' || n, 7, \(at("n")) FROM numbers"
            ),
            (
                "usage_totals (user_id, day, model, tokens_total)",
                "'p' || (n % 400 + 1), '2027-01-' || (10 + n % 20), 'model-' || n, 7 FROM numbers"
            ),
            (
                "quota_reservations (id, user_id, tokens, created_at, expires_at)",
                "'r' || n, 'p' || (n % 400 + 1), 7, \(at("n")), \(at("n + 10")) FROM numbers"
            ),
            (
                "changes (principal_id, entity, entity_id, conversation_id, op, version, at)",
                "'p' || (n % 400 + 1), 'message', 'm' || n, 'c' || n, 'insert', 1, \(at("n")) FROM numbers"
            ),
            ("change_horizons (principal_id, seq)", "'p' || n, n FROM numbers"),
            (
                "stream_tickets (ticket_hash, principal_id, sealed_token, expires_at)",
                "'h' || n, 'p' || (n % 400 + 1), 's', \(at("n + 10")) FROM numbers"
            ),
        ]
    }
}
