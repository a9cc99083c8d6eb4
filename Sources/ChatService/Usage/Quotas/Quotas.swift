// Quotas by kind of person, and the use of them.
//
// A limit that is not set does not apply. Windows are days and months of UTC, not rolling ones: people can tell them
// from a clock, and a query reads one short range.
import ServiceKit
import Storage

package struct Quotas: Sendable, Hashable {
    /// Guests are `guest`, whatever the role; all others have their role.
    package enum Tier: String, Sendable, CaseIterable {
        case guest, user, premium, admin
    }

    package struct Limits: Sendable, Hashable {
        package var messagesPerDay: Int64?
        package var tokensPerDay: Int64?
        package var tokensPerMonth: Int64?

        package init(messagesPerDay: Int64? = nil, tokensPerDay: Int64? = nil, tokensPerMonth: Int64? = nil) {
            self.messagesPerDay = messagesPerDay
            self.tokensPerDay = tokensPerDay
            self.tokensPerMonth = tokensPerMonth
        }
    }

    private var limits: [Tier: Limits] = [:]

    package init() {}

    package subscript(tier: Tier) -> Limits {
        get { limits[tier] ?? Limits() }
        set { limits[tier] = newValue }
    }

    /// SECURITY: an unknown role counts as `user`, so that no name lifts a limit.
    subscript(caller: Caller) -> Limits {
        self[caller.kind == "guest" ? .guest : Tier(rawValue: caller.role) ?? .user]
    }
}

/// A person's use in the current windows, with the limits.
struct QuotaUsage: Sendable {
    let limits: Quotas.Limits
    let messagesToday: Int64
    let tokensToday: Int64
    let tokensThisMonth: Int64
    let reserved: Int64
    let day: UsageDay

    private static let statement = Statement(
        "usage.standing",
        .reads,
        ["owner": .text, "day": .text, "month": .text, "now": .instant]
    ) { engine in
        """
        SELECT (SELECT \(engine.sum(of: "messages")) FROM usage_totals WHERE user_id = :owner AND day = :day)
                AS messages_today,
            (SELECT \(engine.sum(of: "tokens_total + tokens_returned")) FROM usage_totals WHERE user_id = :owner AND day = :day)
                AS tokens_today,
            (SELECT \(engine.sum(of: "tokens_total + tokens_returned")) FROM usage_totals WHERE user_id = :owner AND day >= :month AND day <= :day)
                AS tokens_month,
            (SELECT \(engine.sum(of: "tokens")) FROM quota_reservations WHERE user_id = :owner AND expires_at > :now)
                AS reserved,
            (SELECT tokens_total FROM principals WHERE id = :owner) AS lifetime
        """
    }

    static let all = [statement]

    static func read(of caller: Caller, at now: Instant) -> BoundStatement {
        let day = UsageDay(now)
        return statement.bind(["owner": caller.id, "day": day.text, "month": day.monthBegin, "now": now])
    }

    /// The error about messages that exceed the quota.
    static func refusal(of caller: Caller, _ quotas: Quotas, in database: any SQLDatabase, at now: Instant) async throws
        -> APIError
    {
        guard let row = try await database.run(read(of: caller, at: now)).first,
            let window = try QuotaUsage(row, limits: quotas[caller], at: now).messages
        else { return APIError(.conflict) }
        return .quotaExceeded(window, at: now)
    }

    init(_ row: Row, limits: Quotas.Limits, at now: Instant) throws(StorageError) {
        self.limits = limits
        messagesToday = try row.integer("messages_today")
        tokensToday = try row.integer("tokens_today")
        tokensThisMonth = try row.integer("tokens_month")
        reserved = try row.integer("reserved")
        day = UsageDay(now)
    }

    struct Window: Sendable {
        let name: StaticString
        let limit: Int64
        let used: Int64
        let reserved: Int64
        let resetsAt: Instant

        var remaining: Int64 { max(0, limit - used - reserved) }

        func writeMembers(to writer: inout JSONWriter) {
            writer.object(name) { writer in
                writer.field("limit", limit)
                writer.field("used", used)
                writer.field("reserved", reserved)
                writer.field("remaining", remaining)
                writer.field("resets_at", resetsAt)
            }
        }
    }

    var messages: Window? {
        limits.messagesPerDay.map {
            Window(name: "messages_per_day", limit: $0, used: messagesToday, reserved: 0, resetsAt: day.end)
        }
    }

    var tokens: [Window] {
        let ofDay = limits.tokensPerDay.map {
            Window(name: "tokens_per_day", limit: $0, used: tokensToday, reserved: reserved, resetsAt: day.end)
        }
        let ofMonth = limits.tokensPerMonth.map {
            Window(
                name: "tokens_per_month",
                limit: $0,
                used: tokensThisMonth,
                reserved: reserved,
                resetsAt: day.monthEnd
            )
        }
        return [ofDay, ofMonth].compactMap(\.self)
    }

    /// Tokens that may still be reserved; `nil` without a limit.
    var tokensRemaining: Int64? { tokens.map(\.remaining).min() }

    func writeMembers(to writer: inout JSONWriter) {
        for window in [messages].compactMap(\.self) + tokens { window.writeMembers(to: &writer) }
    }
}

extension APIError {
    /// Reports the limit, the rest, and the time of the reset (RFC 6585 §4).
    static func quotaExceeded(_ window: QuotaUsage.Window, at now: Instant) -> APIError {
        var error = APIError.retry(.quotaExceeded, afterSeconds: Int(window.resetsAt.seconds - now.seconds))
        error.members = [("window", "\(window.name)"), ("resets_at", window.resetsAt.rfc3339)]
        error.counts = [
            ("limit", window.limit), ("used", window.used), ("reserved", window.reserved),
            ("remaining", window.remaining),
        ]
        return error
    }
}
