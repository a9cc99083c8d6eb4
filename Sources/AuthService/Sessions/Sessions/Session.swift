package import ServiceKit
package import Storage

package struct Session: Sendable {
    package let id: String
    package let userID: String
    package let ipAddress: String?
    package let userAgent: String?
    /// RFC 8176, comma-separated in the row.
    package let amr: [String]
    package let authTime: Instant
    package let createdAt: Instant
    package let lastSeenAt: Instant
    /// The idle end, which moves with use.
    package let expiresAt: Instant
    package let absoluteExpiresAt: Instant
    package let revokedAt: Instant?
    package let revokeReason: String?
    package let requiredVersion: Int64
    package let globalVersion: Int64
    /// The one audience of its access tokens, if its sign-in named one.
    package let audience: String?

    /// Of a table joined as `s`.
    static let joinedColumns = joinedColumns(
        refreshedAt: "(SELECT MAX(rotated_at) FROM refresh_tokens WHERE refresh_tokens.session_id = s.id)"
    )

    /// With the SQL expression `refreshedAt` for the last refresh.
    static func joinedColumns(refreshedAt: String) -> String {
        """
        s.id AS session_id, s.user_id AS session_user_id, s.ip_address AS session_ip_address, \
        s.user_agent AS session_user_agent, s.amr AS session_amr, s.auth_time AS session_auth_time, \
        s.created_at AS session_created_at, s.last_seen_at AS session_last_seen_at, \
        \(refreshedAt) AS session_refreshed_at, \
        s.expires_at AS session_expires_at, s.absolute_expires_at AS session_absolute_expires_at, \
        s.revoked_at AS session_revoked_at, s.revoke_reason AS session_revoke_reason, \
        s.required_version AS session_required_version, s.global_version AS session_global_version, \
        s.audience AS session_audience
        """
    }

    init(_ row: Row) throws(StorageError) {
        self.id = try row.text("session_id")
        self.userID = try row.text("session_user_id")
        self.ipAddress = try row.optionalText("session_ip_address")
        self.userAgent = try row.optionalText("session_user_agent")
        self.amr = try row.text("session_amr").split(separator: ",").map(String.init)
        self.authTime = try row.instant("session_auth_time")
        self.createdAt = try row.instant("session_created_at")
        // The row's own `last_seen_at` moves with the idle end only; a refresh is more exact.
        let seen = try row.instant("session_last_seen_at")
        self.lastSeenAt = max(seen, try row.optionalInstant("session_refreshed_at") ?? seen)
        self.expiresAt = try row.instant("session_expires_at")
        self.absoluteExpiresAt = try row.instant("session_absolute_expires_at")
        self.revokedAt = try row.optionalInstant("session_revoked_at")
        self.revokeReason = try row.optionalText("session_revoke_reason")
        self.requiredVersion = try row.integer("session_required_version")
        self.globalVersion = try row.integer("session_global_version")
        self.audience = try row.optionalText("session_audience")
    }

    /// Whether its tokens may be for this audience; `nil` for whatever they are for.
    func allows(_ other: String?) -> Bool { other == nil || audience == nil || other == audience }

    /// `current`: whether it is the caller's own; `nil` if that has no meaning.
    package func write(to writer: inout JSONWriter, current: Bool? = nil) {
        writer.object { writer in
            writer.field("id", id)
            writer.field("user_id", userID)
            writer.field("ip_address", ipAddress)
            writer.field("user_agent", userAgent)
            writer.field("amr", amr)
            writer.field("audience", audience)
            writer.field("auth_time", authTime)
            writer.field("created_at", createdAt)
            writer.field("last_seen_at", lastSeenAt)
            writer.field("expires_at", expiresAt)
            writer.field("absolute_expires_at", absoluteExpiresAt)
            writer.field("revoked_at", revokedAt)
            writer.field("revoke_reason", revokeReason)
            if let current { writer.field("current", current) }
        }
    }
}

/// A session, its user and the global version, as one statement read them.
package struct SessionState: Sendable {
    package let session: Session
    package let user: UserStatus
    /// "Revoke all" has ended sessions below this version.
    package let currentGlobalVersion: Int64

    /// Columns and joins of a SELECT; the table that leads to `s` comes before.
    static let columns = columns(Session.joinedColumns, UserStatus.joinedColumns)

    /// With other columns of session and user; those of a whole `User` include those of its status.
    static func columns(_ session: String, _ user: String) -> String {
        "\(session), g.integer_value AS current_global_version, \(user)"
    }

    static let joins = "JOIN users u ON u.id = s.user_id JOIN settings g ON g.key = 'global_token_version'"

    init(_ row: Row) throws(StorageError) {
        self.session = try Session(row)
        self.user = try UserStatus(row)
        self.currentGlobalVersion = try row.integer("current_global_version")
    }

    /// `nil` if the session is valid. `idleEnd` differs between refreshes and cookies.
    func refusal(at now: Instant, idleEnd: Instant) -> SessionRefusal? {
        // First: a deactivation revokes the sessions too, and the user gets one verdict everywhere.
        if !user.isActive { return .userInactive }
        if session.revokedAt != nil || session.globalVersion < currentGlobalVersion { return .revoked }
        if now >= session.absoluteExpiresAt || now >= idleEnd { return .expired }
        return nil
    }
}

struct SessionLifetime: Sendable {
    let idle: Duration
    let absolute: Duration

    /// How much of the idle period must pass before the end moves: a day, less for short periods. Otherwise every
    /// refresh would write an indexed column.
    var extensionInterval: Duration { min(.seconds(86_400), idle / 14) }

    func idleEnd(from now: Instant) -> Instant { min(now + idle, absoluteEnd(from: now)) }
    func absoluteEnd(from now: Instant) -> Instant { now + absolute }
}
