import HTTPTypes
import OpenSSLCrypto
import Synchronization
import TesseraVerifier
import TestSupport
import Testing

@Suite("Following the revocation feed")
struct RevocationFeedTests {
    private let feed = ScriptedFeed()
    private let issuer: TestIssuer
    private let token: String

    init() throws {
        issuer = try TestIssuer()
        token = try issuer.token()
    }

    private static let revoked = ScriptedFeed.event("e:1", "session.revoked", "{\"sid\":\"session-1\"}")

    private func eventually(_ refusal: VerificationError.Code?, _ verifier: TokenVerifier, _ token: String) async throws
    {
        try await TestSupport.eventually("a token is refused as \(refusal.map { "\($0)" } ?? "nothing")") {
            TesseraVerifierTests.refusal(verifier, token) == refusal
        }
    }

    @Test("a start reads back as far as a token lives, with a token for the feed, and judges nobody before it has")
    func start() async throws {
        feed.open(with: Self.revoked)
        try await feed.withFollower { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            try await TestSupport.eventually("the revocation is read") { follower.count == 1 }
            #expect(refusal(verifier, token) == .revocationsUnavailable)
            #expect(!follower.isReady)
            #expect(follower.state != .current)

            feed.send(ScriptedFeed.caughtUp("e:1"))
            await follower.waitUntilCurrent()
            #expect(follower.isReady)
            #expect(refusal(verifier, token) == .revoked)
            #expect(refusal(verifier, try issuer.token(["sid": "\"session-2\""])) == nil)

            let asked = try #require(feed.asked.first)
            #expect(asked.since == "900s")
            #expect(asked.kinds?.contains("session.revoked") == true)
            #expect(asked.lastEventID == nil)
            #expect(asked.authorization == "Bearer t1")
        }
    }

    @Test("each kind of revocation refuses a remembered token as soon as it comes, and nobody else's")
    func live() async throws {
        let (key, user) = (issuer.kid, "\"user_id\":\"user-1\"")
        let kinds: [(String, String, VerificationError.Code)] = [
            ("session.revoked", "{\"sid\":\"session-1\"}", .revoked),
            ("user.tokens_revoked", "{\(user),\"min_ver\":4}", .stale),
            ("user.deleted", "{\(user)}", .userInactive), ("user.deactivated", "{\(user)}", .userInactive),
            ("all.tokens_revoked", "{\"min_gver\":2}", .revoked),
            ("client.tokens_revoked", "{\"client_id\":\"tessera\",\"issued_before\":\(Int64.max)}", .revoked),
            ("keys.revoked", "{\"kid\":\"\(key)\"}", .unknownKey),
        ]
        let stranger = try TestIssuer()
        let other = try stranger.token([
            "sid": "\"session-2\"", "sub": "\"user-2\"", "gver": "2", "client_id": "\"other\"",
        ])
        for (kind, data, code) in kinds {
            let feed = ScriptedFeed()
            try await feed.withFollower { follower in
                let verifier = try verifier(trusting: issuer, stranger, revocations: follower)
                await follower.waitUntilCurrent()
                #expect(refusal(verifier, token) == nil)
                #expect(refusal(verifier, other) == nil)
                #expect(verifier.cachedTokenCount == 2)
                feed.send(ScriptedFeed.event("e:1", kind, data))
                try await eventually(code, verifier, token)
                #expect(verifier.cachedTokenCount == 1)
                #expect(refusal(verifier, other) == nil)
            }
        }
    }

    @Test("revoking the others spares the session that asked for it")
    func others() async throws {
        try await feed.withFollower { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            let other = try issuer.token(["sid": "\"session-2\""])
            await follower.waitUntilCurrent()
            let data = "{\"user_id\":\"user-1\",\"min_ver\":4,\"except_sid\":\"session-1\"}"
            feed.send(ScriptedFeed.event("e:1", "user.tokens_revoked", data))
            try await eventually(.stale, verifier, other)
            #expect(refusal(verifier, token) == nil)
        }
    }

    @Test("a stream that ends is taken up where it was, and what happened meanwhile is known before it is current")
    func resumed() async throws {
        feed.open(with: ScriptedFeed.caughtUp("e:7"), Self.revoked.replacing("e:1", with: "e:8"))
        try await feed.withFollower { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            await follower.waitUntilCurrent()
            // A position without an event counts too.
            feed.send("id: e:9\n\n")
            #expect(refusal(verifier, token) == nil)
            try await TestSupport.eventually("the stream is taken up") {
                feed.cut()
                return feed.asked.count >= 2
            }
            let second = feed.asked[1]
            #expect(second.since == nil)
            #expect(["e:7", "e:9"].contains(second.lastEventID))
            try await eventually(.revoked, verifier, token)
        }
    }

    @Test("while it is stale tokens stand, by what was known last, if the policy says so")
    func serve() async throws {
        try await feed.withFollower(policy: .serve) { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            let other = try issuer.token(["sid": "\"session-2\""])
            await follower.waitUntilCurrent()
            feed.send(Self.revoked)
            try await eventually(.revoked, verifier, token)
            feed.refuse(.serviceUnavailable, .badGateway, .serviceUnavailable)
            feed.open(with: "")
            feed.cut()
            try await TestSupport.eventually("the stream is open and has not told all") { feed.asked.count == 5 }
            guard case .stale = follower.state else { throw Failure() }
            #expect(follower.isReady)
            #expect(refusal(verifier, token) == .revoked)
            #expect(refusal(verifier, other) == nil)
            feed.send(ScriptedFeed.caughtUp("e:1"))
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, other) == nil)
        }
    }

    @Test("when it has been stale for longer than the policy allows tokens are refused, until it is current again")
    func refuse() async throws {
        try await feed.withFollower(policy: .refuse(after: .milliseconds(1))) { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, token) == nil)
            feed.open(with: "")
            feed.cut()
            try await eventually(.revocationsUnavailable, verifier, token)
            #expect(!follower.isReady)
            // It stays in the cache: the answer is "not now".
            #expect(verifier.cachedTokenCount == 1)
            try await TestSupport.eventually("the stream is open again") { feed.asked.count == 2 }
            feed.send(ScriptedFeed.caughtUp("e:1"))
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, token) == nil)
        }
    }

    @Test("a long patience is not over at once")
    func patience() async throws {
        try await feed.withFollower(policy: .refuse(after: .seconds(3600))) { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            await follower.waitUntilCurrent()
            feed.open(with: "")
            feed.cut()
            try await TestSupport.eventually("the follower knows") { follower.state != .current }
            #expect(refusal(verifier, token) == nil)
        }
    }

    @Test("a place that is gone is given up: the feed is read back again, and only then is it current")
    func gone() async throws {
        let demand = ScriptedFeed.event("e:1", "user.tokens_revoked", "{\"user_id\":\"user-1\",\"min_ver\":9}")
        let key = ScriptedFeed.event("e:2", "keys.revoked", "{\"kid\":\"stolen\"}")
        feed.open(with: demand + key + ScriptedFeed.caughtUp("e:2"), "")
        let thief = try TestIssuer(kid: "stolen")
        let stolen = try thief.token(["sub": "\"user-2\""])
        try await feed.withFollower { follower in
            let verifier = try verifier(trusting: issuer, thief, revocations: follower)
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, token) == .stale)
            #expect(refusal(verifier, stolen) == .unknownKey)
            feed.refuse(.gone)
            feed.cut()
            try await TestSupport.eventually("it begins again") { feed.asked.count == 3 }
            #expect(feed.asked[1].lastEventID == "e:2")
            #expect(feed.asked[2].since == "900s")
            #expect(feed.asked[2].lastEventID == nil)
            // The old knowledge holds until the new history is complete.
            #expect(follower.state != .current)
            #expect(refusal(verifier, token) == .stale)
            // A restored database counts users' versions from its backup.
            feed.send(ScriptedFeed.event("f:1", "session.revoked", "{\"sid\":\"session-2\"}"))
            feed.send(ScriptedFeed.caughtUp("f:1"))
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, token) == nil)
            #expect(refusal(verifier, try issuer.token(["sid": "\"session-2\""])) == .revoked)
            // A stolen key is never trusted again.
            #expect(refusal(verifier, stolen) == .unknownKey)
        }
    }

    @Test("a connection without a byte for three heartbeats is dead, one with heartbeats lives")
    func silence() async throws {
        var pace = FeedPace.quick
        pace.heartbeat = .milliseconds(100)
        try await feed.withFollower(pace: pace) { follower in
            await follower.waitUntilCurrent()
            try await TestSupport.eventually("it connects again") { feed.asked.count >= 2 }
            await follower.waitUntilCurrent()
        }
        let living = ScriptedFeed()
        pace.heartbeat = .seconds(3)
        let news = EventNews(of: [])
        try await living.withFollower(pace: pace, news: news) { [pace] follower in
            await follower.waitUntilCurrent()
            // The connection began before; its silence counts from each heartbeat.
            let overdue = ContinuousClock.now + pace.heartbeat * 3
            try await TestSupport.eventually("it is heard when three heartbeats would have been silence") {
                living.send(": heartbeat\n\n")
                return news.completeUntil ?? overdue > overdue
            }
            #expect(follower.state == .current)
            #expect(living.asked.count == 1)
        }
    }

    @Test("a token for the feed that is refused is replaced, one that is good is used again")
    func tokens() async throws {
        feed.refuse(.unauthorized)
        try await feed.withFollower { follower in
            await follower.waitUntilCurrent()
            #expect(feed.asked.map(\.authorization) == ["Bearer t1", "Bearer t2"])
            feed.cut()
            try await TestSupport.eventually("it connects again") { feed.asked.count == 3 }
            #expect(feed.asked[2].authorization == "Bearer t2")
            #expect(feed.tokens == 2)
        }
    }

    @Test("with a wrong secret it is never ready, and with the right one it is as soon as the issuer answers")
    func credentials() async throws {
        try await feed.withFollower(secret: "wrong") { follower in
            let waiting = Task { await follower.waitUntilCurrent() }
            // It has retried after the first answers.
            try await TestSupport.eventually("it has tried again") { feed.refusedTokens >= 3 }
            #expect(!follower.isReady)
            #expect(feed.asked.isEmpty)
            waiting.cancel()
            await waiting.value
        }
        feed.lock(true)
        try await feed.withFollower { follower in
            #expect(!follower.isReady)
            feed.lock(false)
            await follower.waitUntilCurrent()
            #expect(follower.isReady)
        }
    }

    @Test("an event that cannot be understood is a hole: it is not current, and comes back to the same place")
    func notUnderstood() async throws {
        feed.open(
            with: ScriptedFeed.caughtUp("e:3"),
            ScriptedFeed.caughtUp("e:3"),
            ScriptedFeed.caughtUp("e:3"),
        )
        try await feed.withFollower { follower in
            await follower.waitUntilCurrent()
            feed.send(ScriptedFeed.event("e:4", "session.revoked", "{\"sid\":7}"))
            try await TestSupport.eventually("it connects again") { feed.asked.count == 2 }
            #expect(feed.asked[1].lastEventID == "e:3")
        }
    }

    @Test("an event that is no revocation changes nothing, and the feed goes on behind it")
    func otherEvents() async throws {
        feed.open(with: ScriptedFeed.event("e:1", "user.created", "{}") + ScriptedFeed.caughtUp("e:1"))
        try await feed.withFollower { follower in
            await follower.waitUntilCurrent()
            #expect(follower.count == 0)
        }
    }

    @Test("of a token that was made longer ago than revocations are remembered nothing is known: it is stale")
    func olderThanMemory() async throws {
        try await feed.withFollower { follower in
            let verifier = try verifier(trusting: issuer, revocations: follower)
            await follower.waitUntilCurrent()
            #expect(refusal(verifier, try issuer.token(["iat": "\(TestIssuer.now - 900)"])) == nil)
            #expect(refusal(verifier, try issuer.token(["iat": "\(TestIssuer.now - 901)"])) == .stale)
            let service = try issuer.token(["iat": "\(TestIssuer.now - 901)", "sid": nil, "sub": "\"client_x\""])
            #expect(refusal(verifier, service) == .stale)
        }
    }

    @Test("the secret is in no description")
    func secrecy() {
        let credentials = ClientCredentials(tokenEndpoint: "http://127.0.0.1/", id: "chat", secret: "hidden")
        var dumped = ""
        dump(credentials, to: &dumped)
        for text in ["\(credentials)", String(reflecting: credentials), dumped] { #expect(!text.contains("hidden")) }
    }

    private struct Failure: Error {}
}
