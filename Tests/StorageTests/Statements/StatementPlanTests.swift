// No statement of either service scans a whole table, on either engine, with every growing table filled and analysed.
// Exceptions are listed here with their reasons.
import AuthService
import ChatService
import Storage
import TestSupport
import Testing

@Suite("query plans")
struct StatementPlanTests {
    /// The statements of frequent requests, which the proof must include.
    static let hot: [String: Set<String>] = [
        "auth": [
            "refresh_tokens.rotate", "refresh_tokens.state", "sessions.state", "sessions.state_with_user",
            "sessions.state_by_cookie", "sessions.slide", "accounts.credentials_by_email",
            "accounts.credentials_by_user",
            "sessions.insert_if_password", "refresh_tokens.insert", "users.touch_login", "users.by_id",
            "users.by_email_key",
            "sessions.list_of_user_after", "sessions.list_of_user_before", "sessions.revoke", "events.session_revoked",
            "throttle.count_request", "throttle.take", "throttle.read", "throttle.count_attempt", "throttle.clear",
            "events.after", "events.state", "devices.renew", "devices.insert", "devices.trim",
        ],
        "chat": [
            "principals.touch", "principals.state", "principals.add_tokens", "conversations.get", "conversations.older",
            "conversations.newer", "conversations.is_visible", "conversations.lock", "conversations.advance",
            "conversations.insert", "conversations.change", "messages.insert", "messages.later", "messages.earlier",
            "messages.get", "messages.take_back", "conversations.older_pinned", "conversations.older_archived",
            "conversations.older_tagged_few", "conversations.older_tagged_many", "tags.find", "trash.older",
            "votes.set",
            "votes.later", "votes.newest", "tags.later", "conversation_tags.add", "idempotency.claim",
            "idempotency.read", "idempotency.release", "idempotency.close", "forks.copy", "forks.walk", "forks.add",
            "messages.get", "messages.take_back", "messages.towards_root", "messages.later_with_siblings",
            "messages.earlier_with_siblings", "messages.change", "messages.delete", "messages.adopt",
            "messages.truncate", "conversations.deduct", "conversations.deduct_newest",
            "messages.get", "messages.take_back", "usage.count", "usage.record", "usage.enforce", "usage.standing",
            "usage.by_period", "reservations.insert", "changes.after", "changes.state", "changes.recent",
            "search.messages", "search.titles",
        ],
    ]

    /// Keyset pages: rows are found in display order.
    static let pages: Set<String> = [
        "sessions.list_after", "sessions.list_before", "sessions.list_of_user_after", "sessions.list_of_user_before",
        "users.list_after", "users.list_before", "users.list_of_role_after", "users.list_of_role_before",
        "conversations.older", "conversations.newer", "messages.later", "messages.earlier",
        "conversations.older_pinned", "conversations.newer_pinned", "conversations.numbered_pinned",
        "conversations.older_archived", "conversations.newer_archived", "conversations.numbered_archived",
        "conversations.older_tagged_many", "conversations.newer_tagged_many", "conversations.numbered_tagged_many",
        "events.after", "export.conversations", "conversations.numbered", "trash.older", "trash.newer", "votes.later",
        "votes.earlier", "tags.later", "tags.earlier",
        "events.after",
        "events.after", "changes.after", "changes.recent",
    ]

    /// Counts for an admin read all rows. Open erasures and flags to reclaim are all rows of a partial index, up to a
    /// limit; the partial index of rows without words is the backfill's work list. A rebuild of the search's index
    /// empties its tables some rows at a time, and counts entries up to a limit. An operator's
    /// command counts the refresh tokens of each entry of the master ring.
    static let mayScan: Set<String> = [
        "ring.count_refresh_tokens",
        "users.count", "admin.stats_principals", "admin.stats_conversations", "admin.stats_erasures",
        "admin.stats_feed", "erasures.open", "mirror.forget_inactivity", "search.pending_messages",
        "search.pending_titles", "search.is_pending", "search.drain_pages_of_messages",
        "search.drain_terms_of_messages", "search.drain_entries_of_messages", "search.drain_pages_of_titles",
        "search.drain_terms_of_titles", "search.drain_entries_of_titles", "search.count_entries_of_messages",
        "search.count_entries_of_titles", "search.save_triggers_of_messages", "search.save_triggers_of_titles",
    ]

    /// The cleanup has few distinct values, so PostgreSQL plans for them; usually there is nothing to remove.
    static let cleanup: [String: [SQLValue]] = {
        let before = PlanData.start - .seconds(86_400)
        return [
            "sessions.delete_expired": [.instant(before), .integer(500)],
            "sessions.delete_revoked": [.instant(before), .integer(500)],
            "sessions.mark_globally_revoked": [.instant(before), .integer(500)],
            "refresh_tokens.delete_expired": [.instant(before), .integer(500)],
            "throttle.delete_expired": [.instant(before), .integer(500)],
            "devices.delete_expired": [.instant(before), .integer(500)],
            "deleted_user_tokens.delete_expired": [.instant(before), .integer(500)],
            "clients.delete_expired_assertions": [.instant(before), .integer(500)],
            "events.raise_horizon": [.instant(before), .integer(500)],
            "events.delete_before": [.instant(before), .integer(500)],
            "audit.delete_before": [.instant(before), .integer(500)],
            "idempotency.delete_expired": [.instant(before), .integer(500)],
            "stream_tickets.delete_expired": [.instant(before), .integer(500)],
            "reservations.owners_of_expired": [.instant(before), .integer(500)],
            "trash.owners_of_expired": [.instant(before), .integer(100)],
            "trash.owners_of_ended": [.instant(before), .integer(100)],
            // Rows that the triggers wrote are from today.
            "changes.raise_horizons": [.instant(Instant(seconds: 1_000_000_000)), .integer(500)],
            "changes.delete_before": [.instant(Instant(seconds: 1_000_000_000)), .integer(500)],
        ]
    }()

    @Test("every statement finds its rows by an index", arguments: TestEngine.allCases, ["auth", "chat"])
    func plans(engine: TestEngine, service: String) async throws {
        let statements = service == "auth" ? AuthService.allStatements : ChatService.allStatements
        let names = Set(statements.map(\.name))
        #expect(try #require(Self.hot[service]).subtracting(names) == [])
        try await withDatabase(engine, service: service) { database async throws in
            try await PlanData.load(service, into: database)
            let plans = try await QueryPlan.read(statements, values: Self.cleanup, from: database)
            #expect(plans.count == statements.count)
            for plan in plans where !Self.mayScan.contains(plan.statement.name) && !isOfFewRows(plan) {
                #expect(plan.scans == [], "\(plan.statement.name):\n\(plan.lines.joined(separator: "\n"))")
                if Self.pages.contains(plan.statement.name) {
                    #expect(plan.sorts == [], "\(plan.statement.name):\n\(plan.lines.joined(separator: "\n"))")
                }
            }
        }
    }

    @Test(
        "a search reads what it finds, by both keys, and one role reads its own range",
        arguments: TestEngine.allCases
    )
    func search(engine: TestEngine) async throws {
        try await withDatabase(engine, service: "auth") { database async throws in
            try await PlanData.load("auth", into: database)
            let indexes = [
                "users.search_after": [/email_key_key|sqlite_autoindex_users/, /users_name_key/],
                "users.search_before": [/email_key_key|sqlite_autoindex_users/, /users_name_key/],
                "users.search_count": [/email_key_key|sqlite_autoindex_users/, /users_name_key/],
                "users.list_of_role_after": [/users_role_created_at_id/],
                "sessions.list_of_user_after": [/sessions_user_id_created_at_id/],
                "sessions.delete_revoked": [/sessions_revoked_at/],
                "events.first_since": [/events_at/],
                "sessions.mark_globally_revoked": [/sessions_living_global_version/],
                "users.set_role": [/users_role_created_at_id/],
            ]
            let statements = AuthService.allStatements.filter { indexes[$0.name] != nil }
            #expect(statements.count == indexes.count)
            for plan in try await QueryPlan.read(statements, values: Self.cleanup, from: database) {
                let text = plan.lines.joined(separator: "\n")
                for index in indexes[plan.statement.name] ?? [] {
                    #expect(text.contains(index), "\(plan.statement.name):\n\(text)")
                }
            }
        }
    }

    @Test(
        "a list of the pinned or the archived is one range of their own index, and few tagged are found one by one",
        arguments: TestEngine.allCases
    )
    func lists(engine: TestEngine) async throws {
        let indexes = [
            "conversations.older_pinned": /conversations_owner_pinned/,
            "conversations.newer_pinned": /conversations_owner_pinned/,
            "conversations.count_pinned": /conversations_owner_pinned/,
            "conversations.older_archived": /conversations_owner_archived/,
            "conversations.newer_archived": /conversations_owner_archived/,
            "conversations.count_archived": /conversations_owner_archived/,
            "conversations.older_tagged_few": /conversations_pkey|sqlite_autoindex_conversations_1/,
            "conversations.newer_tagged_few": /conversations_pkey|sqlite_autoindex_conversations_1/,
            "conversations.older_tagged_many": /conversations_owner_updated/,
            "conversations.newer_tagged_many": /conversations_owner_updated/,
        ]
        try await withDatabase(engine, service: "chat") { database async throws in
            try await PlanData.load("chat", into: database)
            let statements = ChatService.allStatements.filter { indexes[$0.name] != nil }
            #expect(statements.count == indexes.count)
            for plan in try await QueryPlan.read(statements, from: database) {
                let text = plan.lines.joined(separator: "\n")
                let index = try #require(indexes[plan.statement.name])
                #expect(text.contains(index), "\(plan.statement.name):\n\(text)")
            }
        }
    }

    @Test("nothing that is asked for the newest messages steps over deleted ones", arguments: TestEngine.allCases)
    func newest(engine: TestEngine) async throws {
        let names: Set<String> = [
            "votes.newest", "messages.earlier", "messages.earlier_measured", "messages.truncate",
            "conversations.deduct_newest", "conversations.remaining",
        ]
        try await withDatabase(engine, service: "chat") { database async throws in
            try await PlanData.load("chat", into: database)
            let statements = ChatService.allStatements.filter { names.contains($0.name) }
            #expect(statements.count == names.count)
            for plan in try await QueryPlan.read(statements, from: database) {
                let text = plan.lines.joined(separator: "\n")
                #expect(text.contains("messages_conversation_live"), "\(plan.statement.name):\n\(text)")
                #expect(!text.contains(/messages_conversation_id_seq_key|sqlite_autoindex_messages_2/), "\(text)")
            }
        }
    }

    @Test("a correction asks the ledger for its own message alone", arguments: TestEngine.allCases)
    func corrections(engine: TestEngine) async throws {
        let names: Set<String> = [
            "usage.count_correction", "usage.take_back", "usage.record_correction", "principals.adjust_tokens",
        ]
        try await withDatabase(engine, service: "chat") { database async throws in
            try await PlanData.load("chat", into: database)
            let statements = ChatService.allStatements.filter { names.contains($0.name) }
            #expect(statements.count == names.count)
            for plan in try await QueryPlan.read(statements, from: database) {
                let text = plan.lines.joined(separator: "\n")
                #expect(text.contains("usage_events_message"), "\(plan.statement.name):\n\(text)")
                #expect(plan.scans == [], "\(plan.statement.name):\n\(text)")
            }
        }
    }

    @Test("a statement that scans or sorts is noticed", arguments: TestEngine.allCases)
    func noticed(engine: TestEngine) async throws {
        let scan = Statement(
            "bad.scan",
            .reads,
            ["first_name": .text],
            "SELECT id FROM users WHERE first_name = :first_name"
        )
        let either = Statement(
            "bad.either",
            .reads,
            ["email_key": .text],
            "SELECT id FROM users WHERE :email_key IS NULL OR email_key = :email_key"
        )
        let sort = Statement(
            "bad.sort",
            .reads,
            ["user": .text],
            "SELECT id FROM sessions WHERE user_id = :user ORDER BY expires_at"
        )
        try await withDatabase(engine, service: "auth") { database async throws in
            try await PlanData.load("auth", into: database)
            let plans = try await QueryPlan.read([scan, either, sort], from: database)
            #expect(plans.map { !$0.scans.isEmpty } == [true, true, false])
            #expect(plans.map { !$0.sorts.isEmpty } == [false, false, true])
        }
    }

    /// Signing keys are at most a dozen rows, clients are made by hand, and auth's feed has two rows. SQLite's plan
    /// names tables by their alias.
    private func isOfFewRows(_ plan: QueryPlan) -> Bool {
        // Five hundred of twenty thousand messages here: PostgreSQL prefers a scan, and would not among more.
        if plan.engine == .postgres, ["erase.count_messages", "erase.delete_messages"].contains(plan.statement.name) {
            return true
        }
        return plan.engine == .sqlite
            && (["signing_keys.", "ring.", "mirror."].contains { plan.statement.name.hasPrefix($0) }
                // The index finds a group of an export, which is then sorted by id for the sum.
                || ["events.about_key", "audit.append_if_key", "clients.list", "export.conversations"].contains(
                    plan.statement.name
                ))
    }
}
