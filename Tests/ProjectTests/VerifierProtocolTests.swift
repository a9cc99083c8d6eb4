// docs/verifier-protocol.md has the numbers and names of the verifier, for verifiers in other languages.
import Foundation
import Hummingbird
import TesseraVerifierHummingbird
import Testing

@Suite("The verifier's protocol")
struct VerifierProtocolTests {
    private let page: String

    init() throws {
        page = try Repository.text("docs/verifier-protocol.md").replacing(/\s+/, with: " ")
    }

    @Test("names every code that a refusal can have")
    func codes() {
        for reason in TokenFailure.Reason.allCases { #expect(page.contains("`\(reason.rawValue)`"), "\(reason)") }
    }

    @Test("names every kind of event that the verifier asks for")
    func kinds() throws {
        let source = try Repository.text("Sources/Verifier/TesseraVerifier/Feed/FeedEvent.swift")
        let list = try #require(source.firstMatch(of: /static let kinds = \[([^\]]*)\]/)).1
        let kinds = list.matches(of: /"([a-z._]+)"/).map { String($0.1) }
        #expect(kinds.count == 8)
        for kind in kinds { #expect(page.contains("| `\(kind)` |"), "\(kind)") }
        #expect(page.contains("kinds=\(kinds.joined(separator: ",")),keys.rotated`"))
    }

    @Test("answers each refusal with the status of the code")
    func statuses() {
        let rows = page.matches(of: /\| ([0-9]{3}) \| ((?:`[a-z_]+`(?:, )?)+) \|/).flatMap { row in
            row.2.matches(of: /[a-z_]+/).map { (String($0.output), String(row.1)) }
        }
        let statuses = Dictionary(rows) { first, second in first == second ? first : "both" }
        let codes: [VerificationError.Code] = [
            .malformed, .expired, .stale, .revoked, .userInactive, .keysUnavailable, .revocationsUnavailable,
            .insufficientScope, .insufficientRole, .insufficientAuthentication,
        ]
        let failures = codes.map { TokenFailure(VerificationError($0)) }
        for failure in failures { #expect(statuses[failure.code] == "\(failure.status.code)", "\(failure.code)") }
        #expect(Set(statuses.keys) == Set(failures.map(\.code)).union(["token_missing"]))
    }

    @Test("says how far ahead a good token may be dated")
    func dates() throws {
        let events = try Repository.text("Sources/AuthService/Events/Log/Events.swift")
        #expect(events.contains("max(now.seconds + 31, (last ?? .min) + (last == nil ? 0 : 1))"))
        #expect(page.contains("In the second of that change this is 31 s ahead"))
        #expect(page.contains("Each end is at least a second later than the client's last one"))
    }

    @Test("has the durations of the code")
    func durations() {
        let (feed, keys) = (FeedPace(), KeyRefreshPace())
        let requirements = TokenRequirements(issuer: "", audience: "")
        let wide = TokenRequirements(issuer: "", audience: "", clockLeeway: .max)
        let said: [(Bool, String)] = [
            (feed.tokenLifetime == .seconds(900), "| *remembered lifetime* `L` | 900 s |"),
            (requirements.clockLeeway == 30 && wide.clockLeeway == 300, "| *skew* `S` | 30 s, at most 300 s |"),
            (feed.heartbeat == .seconds(5), "at least every 5 s"),
            (feed.heartbeat * 3 == .seconds(15), "After 15 s without a byte the connection is dead"),
            (
                feed.firstRetry == .milliseconds(100) && feed.maxRetryInterval == .seconds(5),
                "Pause 100 ms after the first failure, doubled by each up to 5 s"
            ),
            (keys.defaultLifetime == .seconds(300), "and 300 s if the answer states none"),
            (
                keys.minInterval == .seconds(10) && keys.maxInterval == .seconds(3600),
                "not sooner than 10 s and not later than 3,600 s"
            ),
            (
                keys.firstRetry == .milliseconds(250) && keys.maxRetryInterval == .seconds(5),
                "After a failure pause 250 ms, doubled by each further one up to 5 s"
            ),
            (keys.timeout == .seconds(5), "A request waits at most 5 s"),
            (keys.unknownKeyInterval == .seconds(5), "All such tokens together cause one fetch in 5 s"),
        ]
        for (isTrue, words) in said { #expect(isTrue && page.contains(words), "\(words)") }
    }
}
