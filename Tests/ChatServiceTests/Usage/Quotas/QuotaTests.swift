// Quotas: exact under any number of concurrent requests (S16), by tier, and closed when the database is unreachable.
import ChatService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Quotas")
struct QuotaTests {
    private static func limited(
        _ limits: Quotas.Limits,
        _ tier: Quotas.Tier = .user
    ) -> @Sendable (inout ChatConfiguration) -> Void {
        { $0.quotas[tier] = limits }
    }

    private func reserve(_ chat: Chat, _ tokens: Int64, as user: String = "owner", node: Int = 0) async throws -> Answer
    {
        try await chat.send(.post, "/v1/usage/reservations", as: user, #"{"tokens":\#(tokens)}"#, node: node)
    }

    @Test("S16: of a hundred parallel reservations at limit 1, one is given", arguments: TestEngine.allCases)
    func reservationRace(engine: TestEngine) async throws {
        try await withNodes(engine, configure: Self.limited(Quotas.Limits(tokensPerDay: 1))) { chat in
            let answers = try await inParallel(100) { try await reserve(chat, 1, node: $0) }
            #expect(answers.count { $0.status == 201 } == 1)
            let refusals = answers.filter { $0.status != 201 }
            #expect(refusals.allSatisfy { $0.status == 429 && $0.code == "quota_exceeded" })
            #expect(try refusals.allSatisfy { try $0.json["remaining"]?.integer == 0 })
        }
    }

    @Test("S16: of a hundred parallel messages at limit 1, one is appended", arguments: TestEngine.allCases)
    func messageRace(engine: TestEngine) async throws {
        try await withNodes(engine, configure: Self.limited(Quotas.Limits(messagesPerDay: 1))) { chat in
            let ids = try await inParallel(4) { _ in try await chat.conversation() }
            let answers = try await inParallel(100) { index in
                try await chat.send(
                    .post,
                    index % 5 == 4 ? "/v1/conversations" : "/v1/conversations/\(ids[index % 4])/messages",
                    index % 5 == 4
                        ? #"{"messages":[{"role":"user","content":"x"}]}"# : #"{"role":"user","content":"x"}"#,
                    node: index
                )
            }
            #expect(answers.count { $0.status == 201 } == 1)
            #expect(answers.count { $0.status == 429 && $0.code == "quota_exceeded" } == 99)
            #expect(try await chat.leftovers() == 0)
            let made = try await chat.pages("/v1/conversations?limit=100").flatMap { $0 }
            #expect(made.count <= 5)
            #expect(made.reduce(0) { $0 + ($1["message_count"]?.integer ?? 0) } == 1)
            let usage = try await chat.send(.get, "/v1/usage").json
            #expect(usage["total"]?["messages"]?.integer == 1)
        }
    }

    @Test(
        "a message beyond the day's quota is 429 with what is left, and the next day begins anew",
        arguments: TestEngine.allCases
    )
    func messages(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(
            engine,
            clock: clock.clock,
            configure: Self.limited(Quotas.Limits(messagesPerDay: 3))
        ) { chat in
            let id = try await chat.conversation(#"{"messages":[{"role":"user","content":"1"}]}"#)
            let path = "/v1/conversations/\(id)/messages"
            let user = #"{"role":"user","content":"x"}"#
            let assistant = #"{"role":"assistant","content":"y","tokens_out":5}"#
            try await chat.append(user, to: id)
            // All or nothing: two where one is left.
            let two = try await chat.send(.post, path, #"{"messages":[\#(user),\#(assistant),\#(user)]}"#)
            #expect(two.status == 429)
            #expect(two.code == "quota_exceeded")
            let problem = try two.json
            #expect(problem["window"]?.string == "messages_per_day")
            #expect(problem["limit"]?.integer == 3)
            #expect(problem["used"]?.integer == 2)
            #expect(problem["remaining"]?.integer == 1)
            #expect(problem["resets_at"]?.string == "2027-01-16T00:00:00.000000Z")
            // 08:00:00Z to midnight.
            #expect(two.headers[.retryAfter] == "57600")
            try await chat.append(user, to: id)
            #expect(try await chat.send(.post, path, user).status == 429)
            // A deletion frees nothing, and an answer is not a question.
            let empty = try await chat.conversation()
            #expect(try await chat.send(.delete, "/v1/conversations/\(empty)").status == 204)
            try await chat.append(assistant, to: id)
            #expect(try await chat.send(.post, path, user).status == 429)
            let quota = try await chat.send(.get, "/v1/usage").json["quota"]
            #expect(quota?["messages_per_day"]?["remaining"]?.integer == 0)
            clock.advance(.seconds(57_599))
            #expect(try await chat.send(.post, path, user).status == 429)
            clock.advance(.seconds(1))
            try await chat.append(user, to: id)
            try await chat.expectSound(id, count: 5)
            try await chat.expectLedgerAgrees()
        }
    }

    @Test("limits are by tier: a guest's, a role's, and a role that nobody knows is a user's")
    func tiers() async throws {
        try await withChat(
            .sqlite,
            configure: {
                $0.quotas[.guest].messagesPerDay = 1
                $0.quotas[.user].messagesPerDay = 2
                $0.quotas[.premium].messagesPerDay = 3
            }
        ) { chat in
            let claims: [(changes: [String: String?], messages: Int)] = [
                // A guest is a guest in any role.
                (["kind": #""guest""#, "role": #""admin""#], 1), (["role": #""user""#], 2),
                (["role": #""premium""#], 3), (["role": #""root""#], 2), (["role": nil], 2), (["role": #""admin""#], 5),
            ]
            for (index, claim) in claims.enumerated() {
                let token = try chat.tokens.token(for: "person-\(index)", claim.changes)
                let headers: HTTPFields = [.authorization: "Bearer \(token)"]
                var sent = 0
                for _ in 0..<5 {
                    let body = #"{"messages":[{"role":"user","content":"x"}]}"#
                    let answer = try await chat.send(.post, "/v1/conversations", body, headers: headers)
                    if answer.status == 201 { sent += 1 } else { #expect(answer.status == 429) }
                }
                #expect(sent == claim.messages, "\(claim.changes)")
            }
        }
    }

    @Test("what is reserved, used, settled, released and expired adds up", arguments: TestEngine.allCases)
    func reservations(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(
            engine,
            clock: clock.clock,
            configure: Self.limited(Quotas.Limits(tokensPerDay: 1000, tokensPerMonth: 1500))
        ) { chat in
            let path = "/v1/usage/reservations"
            let first = try await chat.send(.post, path, #"{"tokens":600,"model":"big"}"#)
            #expect(first.status == 201)
            #expect(try first.json["remaining"]?.integer == 400)
            #expect(try first.json["expires_at"]?.string == "2027-01-15T08:10:00.000000Z")
            let refused = try await reserve(chat, 401)
            #expect(refused.status == 429)
            #expect(try refused.json["reserved"]?.integer == 600)
            #expect(try refused.json["remaining"]?.integer == 400)
            #expect(try refused.json["window"]?.string == "tokens_per_day")
            // To the last token.
            let second = try await reserve(chat, 400)
            #expect(second.status == 201)
            #expect(try await reserve(chat, 1).status == 429)
            let (one, two) = (
                try #require(try first.json["id"]?.string), try #require(try second.json["id"]?.string)
            )
            // Only its owner.
            #expect(try await chat.send(.delete, "\(path)/\(two)", as: "other").status == 404)
            #expect(try await chat.send(.post, "\(path)/\(two)/settle", as: "other", #"{"tokens_in":1}"#).status == 404)
            #expect(try await chat.send(.delete, "\(path)/\(two)").status == 204)
            #expect(try await chat.send(.delete, "\(path)/\(two)").status == 404)
            // More than was reserved counts in full.
            let settle = #"{"tokens_in":100,"tokens_out":600}"#
            #expect(try await chat.send(.post, "\(path)/\(one)/settle", settle).status == 204)
            #expect(try await chat.send(.post, "\(path)/\(one)/settle", settle).status == 404)
            let report = try await chat.send(.get, "/v1/usage?group=model").json
            #expect(report["data"]?.array?.first?["model"]?.string == "big")
            #expect(report["total"]?["tokens_total"]?.integer == 700)
            #expect(report["quota"]?["tokens_per_day"]?["remaining"]?.integer == 300)
            #expect(report["quota"]?["tokens_per_month"]?["remaining"]?.integer == 800)
            try await chat.expectLedgerAgrees()
            // An expired one frees itself, and can still be settled.
            let third = try await chat.send(.post, path, #"{"tokens":300,"expires_in":60}"#)
            #expect(try await reserve(chat, 1).status == 429)
            clock.advance(.seconds(60))
            let fourth = try await reserve(chat, 300)
            #expect(fourth.status == 201)
            let late = try #require(try third.json["id"]?.string)
            #expect(try await chat.send(.post, "\(path)/\(late)/settle", #"{"tokens_total":250}"#).status == 204)
            // The next day the month is the limit. 1500 − 950.
            clock.advance(.seconds(86_400))
            let month = try await reserve(chat, 551)
            #expect(month.status == 429)
            #expect(try month.json["window"]?.string == "tokens_per_month")
            #expect(try month.json["remaining"]?.integer == 550)
            #expect(try month.json["resets_at"]?.string == "2027-02-01T00:00:00.000000Z")
            #expect(try await reserve(chat, 550).status == 201)
        }
    }

    @Test(
        "S16: tokens that a correction takes off a message are no quota again, on its day, today or in its month",
        arguments: TestEngine.allCases
    )
    func corrections(engine: TestEngine) async throws {
        // 2027-01-15T08:00:00Z
        let clock = TestClock()
        try await withChat(
            engine,
            clock: clock.clock,
            configure: Self.limited(Quotas.Limits(tokensPerDay: 1000, tokensPerMonth: 5000))
        ) { chat in
            func used() async throws -> [Int64?] {
                let quota = try await chat.send(.get, "/v1/usage").json["quota"]
                return ["tokens_per_day", "tokens_per_month"].map { quota?[$0]?["used"]?.integer }
            }
            let id = try await chat.conversation()
            let answer = #"{"role":"assistant","content":"x","tokens_total":900}"#
            let old = try #require(try await chat.append(answer, to: id)["id"]?.string)
            let path = "/v1/conversations/\(id)/messages/\(old)"
            // A copy was not billed, so there is nothing to give back.
            let fork = try await chat.send(.post, "/v1/conversations/\(id)/fork", "{}")
            try #require(fork.status == 201, "\(fork.text)")
            let copy = try #require(try fork.json["id"]?.string)
            let copied = try #require(try await chat.messages(copy).first?["id"]?.string)

            clock.advance(.seconds(86_400))
            try await chat.append(#"{"role":"assistant","content":"x","tokens_total":100}"#, to: id)
            #expect(try await used() == [100, 1000])
            // Today's use is unchanged; yesterday's is less.
            #expect(try await chat.send(.patch, path, #"{"tokens_total":0}"#).status == 200)
            #expect(try await used() == [100, 1000])
            #expect(try await chat.send(.get, "/v1/usage").json["total"]?["tokens_total"]?.integer == 100)
            try await chat.expectLedgerAgrees()
            let twice = "/v1/conversations/\(copy)/messages/\(copied)"
            #expect(try await chat.send(.patch, twice, #"{"tokens_total":0}"#).status == 200)
            #expect(try await used() == [100, 1000])
            #expect(try await reserve(chat, 901).status == 429)
            // An increase counts today: an old message is no way around today's quota.
            #expect(try await chat.send(.patch, path, #"{"tokens_total":400}"#).status == 200)
            #expect(try await used() == [500, 1400])
            #expect(try await reserve(chat, 501).status == 429)
            #expect(try await reserve(chat, 500).status == 201)
        }
    }

    @Test(
        "S16: a message that is lowered to nothing again and again does not go round the quota",
        arguments: TestEngine.allCases
    )
    func loweredAgain(engine: TestEngine) async throws {
        try await withChat(engine, configure: Self.limited(Quotas.Limits(tokensPerDay: 1000))) { chat in
            let id = try await chat.conversation()
            for _ in 0..<3 {
                let answer = #"{"role":"assistant","content":"x","tokens_total":300}"#
                let message = try #require(try await chat.append(answer, to: id)["id"]?.string)
                let path = "/v1/conversations/\(id)/messages/\(message)"
                for patch in [#"{"tokens_total":0}"#, #"{"tokens_in":null,"tokens_out":null,"tokens_total":null}"#] {
                    #expect(try await chat.send(.patch, path, patch).status == 200)
                }
            }
            let usage = try await chat.send(.get, "/v1/usage").json
            #expect(usage["quota"]?["tokens_per_day"]?["used"]?.integer == 900)
            #expect(usage["quota"]?["tokens_per_day"]?["remaining"]?.integer == 100)
            #expect(usage["total"]?["tokens_total"]?.integer == 0 && usage["tokens_lifetime"]?.integer == 0)
            #expect(try await reserve(chat, 101).code == "quota_exceeded")
            #expect(try await reserve(chat, 100).status == 201)
            try await chat.expectLedgerAgrees()
        }
    }

    @Test(
        "S16: a copy of a fork gives back what was billed for the copy and never what was billed for its original",
        arguments: TestEngine.allCases
    )
    func copies(engine: TestEngine) async throws {
        try await withChat(engine, configure: Self.limited(Quotas.Limits(tokensPerDay: 1000))) { chat in
            func patch(_ message: String, _ tokens: Int) async throws {
                let body = #"{"tokens_in":0,"tokens_out":\#(tokens),"tokens_total":\#(tokens)}"#
                let answer = try await chat.send(.patch, "/v1/conversations/\(message)", body)
                #expect(answer.status == 200, "\(answer.text)")
            }
            /// Today's tokens in, out and total, of the quota and of all time.
            func used() async throws -> [Int64?] {
                let usage = try await chat.send(.get, "/v1/usage").json
                return ["tokens_in", "tokens_out", "tokens_total"].map { usage["total"]?[$0]?.integer } + [
                    usage["quota"]?["tokens_per_day"]?["used"]?.integer, usage["tokens_lifetime"]?.integer,
                ]
            }
            let id = try await chat.conversation()
            let answer = #"{"role":"assistant","content":"x","tokens_in":400,"tokens_out":500}"#
            let message = try #require(try await chat.append(answer, to: id)["id"]?.string)
            let original = "\(id)/messages/\(message)"
            var copies: [String] = []
            for _ in 0..<2 {
                let fork = try await chat.send(.post, "/v1/conversations/\(id)/fork", "{}")
                let copy = try #require(try fork.json["id"]?.string, "\(fork.text)")
                let copied = try #require(try await chat.messages(copy).first?["id"]?.string)
                copies.append("\(copy)/messages/\(copied)")
            }
            for copy in copies {
                try await patch(copy, 0)
                #expect(try await used() == [400, 500, 900, 900, 900])
            }
            #expect(try await reserve(chat, 101).status == 429)
            #expect(try await chat.ledger() == 1)
            // What was billed for a copy can be given back, and no more.
            try await patch(copies[0], 70)
            #expect(try await used() == [400, 570, 970, 970, 970])
            try await patch(copies[0], 20)
            #expect(try await used() == [400, 520, 920, 970, 920])
            try await patch(copies[0], 0)
            #expect(try await used() == [400, 500, 900, 970, 900])
            try await patch(original, 0)
            #expect(try await used() == [0, 0, 0, 970, 0])
            try await chat.expectLedgerAgrees()
            // No total is negative, so the person's export can be imported.
            let seven = #"{"role":"assistant","content":"x","tokens_total":7}"#
            let last = try #require(try await chat.append(seven, to: id)["id"]?.string)
            let lines = Lines(try await chat.send(.get, "/v1/chat/export").text)
            try await withChat(engine) { other async throws in
                #expect(try await other.take(lines, for: "owner").conversations == 3)
                // Imported tokens were not billed here, so they are not given back.
                let lowered = try await other.send(
                    .patch,
                    "/v1/conversations/\(id)/messages/\(last)",
                    #"{"tokens_total":0}"#
                )
                #expect(lowered.status == 200, "\(lowered.text)")
                let usage = try await other.send(.get, "/v1/usage").json
                #expect(usage["tokens_lifetime"]?.integer == 7)
                #expect(usage["total"]?["tokens_total"]?.integer == 7)
            }
        }
    }

    @Test(
        "a reservation that ran out more than a day ago settles nothing and is not there",
        arguments: TestEngine.allCases
    )
    func forgotten(engine: TestEngine) async throws {
        let clock = TestClock()
        try await withChat(engine, clock: clock.clock) { chat in
            let path = "/v1/usage/reservations"
            let made = try await inParallel(3) { _ in
                try await chat.send(.post, path, #"{"tokens":5,"expires_in":60}"#).json["id"]?.string
            }
            let ids = try made.map { try #require($0) }
            let settle = #"{"tokens_total":5}"#
            clock.advance(.seconds(60 + 86_400))
            #expect(try await chat.send(.post, "\(path)/\(ids[0])/settle", settle).status == 204)
            clock.advance(.seconds(1))
            #expect(try await chat.send(.post, "\(path)/\(ids[1])/settle", settle).status == 404)
            #expect(try await chat.send(.delete, "\(path)/\(ids[2])").status == 404)
            #expect(try await chat.send(.get, "/v1/usage").json["tokens_lifetime"]?.integer == 5)
            #expect(try await chat.ledger() == 1)
            try await chat.expectLedgerAgrees()
        }
    }

    @Test("S16: no number that is none, negative, not whole or too large is a reservation")
    func numbers() async throws {
        try await withChat(.sqlite, configure: Self.limited(Quotas.Limits(tokensPerDay: 10))) { chat in
            let bad = [
                "-1", "0", "NaN", "Infinity", "1.5", "1e99", "\"5\"", "null", "9223372036854775808", "1000000001",
                "-9223372036854775808", "[5]", "true",
            ]
            for number in bad {
                let body = #"{"tokens":\#(number)}"#
                #expect(try await chat.send(.post, "/v1/usage/reservations", body).status == 400, "\(number)")
            }
            let id = try #require(try await reserve(chat, 10).json["id"]?.string)
            for number in bad where number != "null" && number != "0" {
                let body = #"{"tokens_in":\#(number)}"#
                let path = "/v1/usage/reservations/\(id)/settle"
                #expect(try await chat.send(.post, path, body).status == 400, "\(number)")
                let conversation = #"{"messages":[{"role":"user","content":"x","tokens_in":\#(number)}]}"#
                #expect(try await chat.send(.post, "/v1/conversations", conversation).status == 400, "\(number)")
            }
            #expect(try await chat.send(.get, "/v1/usage").json["tokens_lifetime"]?.integer == 0)
            // None of them was credit.
            #expect(try await reserve(chat, 1).status == 429)
        }
    }

    @Test("S16: a database that cannot be asked gives nothing: 503", arguments: TestEngine.allCases)
    func closed(engine: TestEngine) async throws {
        try await withChat(
            engine,
            configure: Self.limited(Quotas.Limits(messagesPerDay: 1000, tokensPerDay: 1000))
        ) { chat in
            let id = try await chat.conversation()
            await chat.database.close()
            let reservation = try await reserve(chat, 1)
            #expect(reservation.status == 503)
            #expect(reservation.code == "database_unavailable")
            let body = #"{"role":"user","content":"x"}"#
            #expect(try await chat.send(.post, "/v1/conversations/\(id)/messages", body).status == 503)
            #expect(try await chat.send(.get, "/v1/usage").status == 503)
        }
    }

    @Test("without a limit everything is given, up to a thousand reservations at a time")
    func unlimited() async throws {
        try await withChat(.sqlite) { chat in
            let answers = try await inParallel(1002) { _ in try await reserve(chat, 1_000_000_000) }
            #expect(answers.count { $0.status == 201 } == 1000)
            #expect(answers.count { $0.status == 429 && $0.code == "rate_limited" } == 2)
            #expect(answers.first { $0.status == 201 }?.text.contains(#""remaining":null"#) == true)
        }
    }

    @Test("who was deactivated or erased reserves and settles nothing", arguments: TestEngine.allCases)
    func inactive(engine: TestEngine) async throws {
        try await withChat(engine) { chat in
            let id = try #require(try await reserve(chat, 5).json["id"]?.string)
            for erased in [nil, Instant(seconds: 1_800_000_000)] {
                try await chat.mark("owner", active: erased != nil, erasedAt: erased)
                let path = "/v1/usage/reservations"
                #expect(try await reserve(chat, 5).code == "user_inactive")
                #expect(try await chat.send(.post, "\(path)/\(id)/settle", #"{"tokens_in":1}"#).code == "user_inactive")
                #expect(try await chat.send(.delete, "\(path)/\(id)").code == "user_inactive")
            }
            #expect(try await chat.ledger() == 0)
        }
    }
}
