// What the statements of an auth database are measured on: one person with thousands of sessions and hundreds with
// three, under the same three states of the statistics as chat's.
import Storage

enum AuthCostData {
    /// Sessions of the one.
    static let length = 8000

    private static let at = "TIMESTAMPTZ '2026-11-01' + n * INTERVAL '1 minute'"

    private static func users(_ prefix: String, _ count: Int) -> String {
        """
        INSERT INTO users (id, email, email_key, name, name_key, role, is_active, created_at, updated_at)
        SELECT '\(prefix)' || n, '\(prefix)' || n || '@example.com', '\(prefix)' || n || '@example.com',
            '\(prefix) ' || n, '\(prefix) ' || n, CASE n % 40 WHEN 0 THEN 'admin' WHEN 1 THEN 'premium' ELSE 'user' END,
            n % 50 <> 0, \(at), \(at)
        FROM generate_series(1, \(count)) n;
        INSERT INTO accounts (id, user_id, provider_id, account_id, password_hash, created_at, updated_at)
        SELECT '\(prefix)-a' || n, '\(prefix)' || n, 'password', '\(prefix)' || n, 'hash', \(at), \(at)
        FROM generate_series(1, \(count)) n;
        """
    }

    /// Sessions `<prefix>-s<n>` with their refresh tokens.
    private static func sessions(_ prefix: String, _ count: Int, of user: String, haveEnded: Bool = false) -> String {
        """
        INSERT INTO sessions (id, user_id, token_hash, auth_time, created_at, updated_at, last_seen_at, expires_at,
            absolute_expires_at, required_version, global_version, revoked_at)
        SELECT '\(prefix)-s' || n, \(user), CAST('\(prefix)-h' || n AS bytea), \(at), \(at), \(at), \(at),
            \(at) + INTERVAL '14 days', \(at) + INTERVAL '90 days', 1, 1, \(haveEnded ? at : "NULL")
        FROM generate_series(1, \(count)) n;
        INSERT INTO refresh_tokens (id, session_id, user_id, rotated_at, expires_at, created_at)
        SELECT '\(prefix)-r' || n, '\(prefix)-s' || n, \(user), \(at), \(at) + INTERVAL '90 days', \(at)
        FROM generate_series(1, \(count)) n;
        """
    }

    private static func logs(_ prefix: String, _ count: Int, of user: String) -> String {
        """
        INSERT INTO events (at, kind, user_id, session_id)
        SELECT \(at), CASE WHEN n % 100 = 0 THEN 'user.deleted' ELSE 'session.revoked' END, \(user), '\(prefix)-s' || n
        FROM generate_series(1, \(count)) n;
        INSERT INTO audit_log (at, action, target, outcome) SELECT \(at), 'login', \(user), 'success'
        FROM generate_series(1, \(count)) n;
        """
    }

    private static let many = "'few' || (n % 400 + 1)"

    private static let small = CostData.script(
        "\(users("few", 400))\n\(sessions("few", 1200, of: many))\n\(logs("few", 1200, of: many))"
    )

    private static let huge = CostData.script(
        "\(users("busy", 1))\n\(sessions("busy", length, of: "'busy1'"))\n\(logs("busy", length, of: "'busy1'"))"
    )

    /// Never analysed.
    private static let rest = CostData.script(
        """
        \(users("more", 3000))
        \(sessions("gone", 4000, of: "'more' || (n % 3000 + 1)", haveEnded: true))
        INSERT INTO users (id, created_at, updated_at) VALUES ('fresh-user', now(), now());
        INSERT INTO sessions (id, user_id, auth_time, created_at, updated_at, last_seen_at, expires_at,
            absolute_expires_at, required_version, global_version)
        VALUES ('fresh-session', 'fresh-user', now(), now(), now(), now(), now(), now(), 1, 1);
        INSERT INTO rate_counters (key, count, window_ends_at, expires_at)
        SELECT 'k' || n, 1, \(at), \(at) FROM generate_series(1, 3000) n;
        INSERT INTO clients (id, name, audiences, created_at, updated_at)
        SELECT 'c' || n, 'Client', 'a', \(at), \(at) FROM generate_series(1, 12) n;
        INSERT INTO client_assertions (client_id, jti, expires_at)
        SELECT 'c' || (n % 12 + 1), 'j' || n, \(at) FROM generate_series(1, 3000) n;
        INSERT INTO email_key_conflicts (user_id, email_key)
        SELECT 'more' || n, 'few' || n || '@example.com' FROM generate_series(1, 400) n;
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key, state, created_at)
        SELECT 'k' || n, 'ES256', '', '', CASE n WHEN 1 THEN 'current' WHEN 2 THEN 'next' ELSE 'retired' END, \(at)
        FROM generate_series(1, 8) n;
        INSERT INTO settings (key, text_value, integer_value, updated_at)
        VALUES ('event_epoch', 'e', NULL, now()), ('event_horizon', NULL, 100, now());
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
    enum Target: CaseIterable {
        case huge, small

        var user: String { self == .huge ? "busy1" : "few7" }
        var session: String { self == .huge ? "busy-s5000" : "few-s6" }
        var refreshToken: String { self == .huge ? "busy-r5000" : "few-r6" }
        var cookie: String { self == .huge ? "busy-h5000" : "few-h6" }
        /// Of the person's sessions.
        var place: Instant { AuthCostData.instant("2026-11-\(self == .huge ? "04" : "02")T00:00:00Z") }
        var sessionCount: Int { self == .huge ? AuthCostData.length : 3 }
    }

    static func values(of statement: Statement, _ target: Target) -> [SQLValue] {
        let own = overrides[statement.name] ?? [:]
        return zip(statement.parameterNames, statement.parameters).map { name, type in
            own[name] ?? value(name, type, statement.name.split(separator: ".").first ?? "", target)
        }
    }

    private static func value(_ name: String, _ type: SQLType, _ area: Substring, _ target: Target) -> SQLValue {
        let key = "\(target.user)@example.com"
        switch (name, type) {
        case ("id", .text):
            switch area {
            case "sessions": return .text(target.session)
            case "refresh_tokens": return .text(target.refreshToken)
            case "clients": return .text("c7")
            default: return .text(target.user)
            }
        case ("user", _), ("target", _): return .text(target.user)
        case ("session", _): return .text(target.session)
        case ("key", _): return .text(area == "throttle" ? "k7" : key)
        case ("first", .text): return .text(key)
        case ("second", .text), ("third", .text), ("owner", _), ("except", _), ("active", _), ("former", _):
            return .null
        case ("client", _): return .text(area == "refresh_tokens" ? "tessera" : "c7")
        case ("role", _): return .text("premium")
        case ("token_hash", _): return .bytes(Array(target.cookie.utf8))
        case ("limit", _): return .integer(20)
        case ("seq", _): return .integer(100)
        case ("generation", _): return .integer(0)
        case ("hash", _): return .text("hash")
        case ("kid", _), ("next", _), ("promoted", _): return .text("k2")
        case ("alg", _): return .text("ES256")
        case ("state", _): return .text("current")
        case ("ended", _): return .boolean(false)
        case ("instant", _): return area == "sessions" ? .instant(target.place) : .instant(twoHundredth)
        case ("idle_start", _): return .instant(instant("2026-10-01T00:00:00Z"))
        case ("idle_end", _), ("due", _), ("absolute_end", _), ("window_end", _):
            return .instant(instant("2026-11-08T12:00:00Z"))
        case (_, .boolean): return .boolean(true)
        case (_, .integer): return .integer(1)
        case (_, .text): return .text("x")
        case (_, .bytes): return .bytes([1])
        case (_, .instant): return .instant(twoHundredth)
        case (_, .words): return .null
        }
    }

    /// Before it lie two hundred rows of each person's and of each kind.
    private static let twoHundredth = instant("2026-11-01T03:20:00Z")

    private static func instant(_ text: String) -> Instant { Instant(rfc3339: text) ?? .distantPast }

    private static let overrides: [String: [String: SQLValue]] = [
        "users.insert": [
            "id": .text("fresh"), "email": .text("fresh"), "email_key": .text("fresh"), "first": .text("fresh"),
        ],
        "accounts.insert_password": ["id": .text("fresh"), "user": .text("fresh-user")],
        "sessions.insert_if_password": ["id": .text("fresh"), "token_hash": .bytes([1])],
        "sessions.delete_expired": ["before": .instant(instant("2026-11-15T03:20:00Z"))],
        "refresh_tokens.insert": ["id": .text("fresh"), "session": .text("fresh-session")],
        "refresh_tokens.delete_expired": ["before": .instant(instant("2027-01-30T03:20:00Z"))],
        "clients.insert": ["id": .text("fresh")],
        "audit.append_if_living": ["target": .text("few-s6")],
        "audit.append_if_client": ["target": .text("c7")],
        "email_keys.rekey": ["old": .text("few7@example.com"), "new": .text("fresh")],
        "email_keys.record_conflict": ["old": .text("few7@example.com"), "new": .text("fresh")],
        "email_keys.conflicts": ["after": .text("more100")],
    ]
}
