import HTTPTypes
import Hummingbird
import ServiceKit
import Storage

struct UsageRoutes: Sendable {
    let usage: Usage
    let reservations: Reservations

    /// Tokens of one message or reservation.
    static let tokens: ClosedRange<Int64> = 0...1_000_000_000

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group
            .get("usage", query: Usage.Query.declaration, use: report)
            .post("usage/reservations", use: reserve)
            .post("usage/reservations/:id/settle", use: settle)
            .delete("usage/reservations/:id", use: release)
    }

    @Sendable func report(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let query = try Usage.Query(context.query, today: UsageDay(usage.clock.now()))
        let report = try await usage.report(query, for: try context.caller)
        return .json(report.json(query))
    }

    @Sendable func reserve(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let element = try await request.jsonElement(limit: BodyLimits.fields)
        let attempt = try IdempotentAttempt(
            request,
            body: element,
            at: reservations.clock.now(),
            ids: reservations.ids
        )
        var body = try JSONBody(element)
        let tokens = body.integer("tokens", in: 1...Self.tokens.upperBound)
        if tokens == nil, body.errors.isEmpty { body.addError("tokens", "required", "is required") }
        let model = body.text("model", max: BodyLimits.model)
        let seconds = body.integer("expires_in", in: 1...3600) ?? 600
        try body.finish()
        let reservation = try await reservations.reserve(
            tokens ?? 0,
            model: model,
            for: .seconds(seconds),
            by: try context.caller,
            once: attempt
        )
        return .json(
            JSONWriter.object { reservation.value.writeMembers(to: &$0) },
            status: .created,
            headers: reservation.headers
        )
    }

    @Sendable func settle(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let id = try context.id("id")
        var body = try await request.jsonBody(limit: BodyLimits.fields)
        let input = body.integer("tokens_in", in: Self.tokens)
        let output = body.integer("tokens_out", in: Self.tokens)
        let total = body.integer("tokens_total", in: Self.tokens)
        if input == nil, output == nil, total == nil, body.errors.isEmpty {
            body.addError("tokens_total", "required", "is required, or tokens_in and tokens_out")
        }
        try body.finish()
        try await reservations.settle(
            id,
            tokensIn: input ?? 0,
            tokensOut: output ?? 0,
            total: total ?? (input ?? 0) + (output ?? 0),
            by: try context.caller
        )
        return .noContent()
    }

    @Sendable func release(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        try await reservations.release(try context.id("id"), by: try context.caller)
        return .noContent()
    }
}

extension Usage.Query {
    /// Days of one answer.
    private static let maxDays = 366

    private static let periodParameter = QueryParameter.choice("period", of: Period.self)
    private static let groupParameter = QueryParameter.word("group", of: Group.names.keys.sorted())
    private static let fromParameter = day("from")
    private static let toParameter = day("to")
    private static let modelParameter = QueryParameter.text("model")
    static let declaration = QueryDeclaration(
        periodParameter,
        groupParameter,
        fromParameter,
        toParameter,
        modelParameter
    )

    /// The default is thirty days or twelve months up to `to`, and for that today.
    init(_ query: QueryParameters, today: UsageDay) throws(APIError) {
        period = try query[Self.periodParameter] ?? .day
        group = try query[Self.groupParameter].flatMap { Group.names[$0] } ?? .period
        model = try query[Self.modelParameter]
        let last = try query[Self.toParameter] ?? today
        to = last.text
        let back = period == .day ? 29 : 365
        let begin = last.end - .seconds(86_400 * (back + 1))
        guard let first = try query[Self.fromParameter] ?? (begin < .distantPast ? nil : UsageDay(begin)) else {
            let earliest = UsageDay(.distantPast + .seconds(86_400 * back)).text
            throw .field("to", "out_of_range", "must be at least \(back) days after 0001-01-01", .atLeast(earliest))
        }
        // Whole months: a part of one would look like all of it.
        from = period == .day ? first.text : first.monthBegin
        let days = last.end.since(first.end).components.seconds / 86_400
        guard days >= 0 else { throw .field("from", "out_of_range", "must not be after to", .atMost(to)) }
        guard days < Self.maxDays else {
            let earliest = UsageDay(last.end - .seconds(86_400 * Self.maxDays)).text
            let detail = "must be at most \(Self.maxDays - 1) days before to"
            throw .field("from", "out_of_range", detail, .range(earliest, to))
        }
    }

    private static func day(_ name: String) -> QueryParameter<UsageDay> {
        QueryParameter<UsageDay>(name, ParameterSchema(type: "string", format: "date")) { text, name throws(APIError) in
            guard text.byteCount == 10, let begin = Instant(rfc3339: text.verbatim + "T00:00:00Z") else {
                throw APIError.field(name, "invalid", "must be a day such as 2026-11-21")
            }
            return UsageDay(begin)
        }
    }
}

extension Usage.Report {
    fileprivate func json(_ query: Usage.Query) -> JSONWriter {
        JSONWriter.object { writer in
            writer.field("from", query.from)
            writer.field("to", query.to)
            writer.array("data") { writer in
                for row in rows {
                    writer.object { writer in
                        if let period = row.period { writer.field("period", period) }
                        if let model = row.model { writer.field("model", model.isEmpty ? nil : model) }
                        row.sums.writeMembers(to: &writer)
                    }
                }
            }
            writer.field("has_more", hasMore)
            writer.object("total") { total.writeMembers(to: &$0) }
            writer.field("tokens_lifetime", lifetime)
            writer.object("quota") { quota.writeMembers(to: &$0) }
        }
    }
}
