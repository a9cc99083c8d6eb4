import Testing

@testable import TesseraVerifier

@Suite("Remembering revocations")
struct RevocationsTests {
    private func claims(
        user: String = "u",
        session: String? = "s",
        version: Int64? = 3,
        global: Int64? = 1,
        client: String? = nil,
        issuedAt: Int64 = 0
    ) -> AccessTokenClaims {
        AccessTokenClaims(
            issuer: "i",
            subject: user,
            audience: [],
            expiresAt: .max,
            issuedAt: issuedAt,
            tokenID: "t",
            sessionID: session,
            clientID: client,
            userVersion: version,
            globalVersion: global
        )
    }

    private func refusal(_ revocations: Revocations, _ claims: AccessTokenClaims) -> VerificationError.Code? {
        revocations.refusal(of: claims, keyID: "k")?.code
    }

    private func set(_ entries: Revocation...) -> Revocations {
        var set = Revocations(lifetime: 900)
        for entry in entries { set.add(entry, now: 0) }
        return set
    }

    @Test("a session's tokens are refused, another's are not")
    func sessions() {
        let set = set(.session("s"))
        #expect(refusal(set, claims()) == .revoked)
        #expect(refusal(set, claims(session: "other")) == nil)
    }

    @Test("an inactive user gets that verdict before any other, until the user is active again")
    func inactive() {
        var set = set(.inactiveUser("u"))
        set.add(.user("u", minimumVersion: 4, exceptSession: nil), now: 0)
        set.add(.session("s"), now: 0)
        #expect(refusal(set, claims(version: 9)) == .userInactive)
        #expect(refusal(set, claims(version: 3)) == .userInactive)
        set.add(.activeUser("u"), now: 0)
        #expect(refusal(set, claims(session: "other", version: 3)) == .stale, "what ended before stays ended")
        #expect(refusal(set, claims(session: "other", version: 4)) == nil)
        set.add(.inactiveUser("u"), now: 1)
        let count = set.count
        set.purge(now: 1 + set.lifetime)
        #expect(set.count < count && refusal(set, claims(session: "other", version: 9)) == nil)
    }

    @Test("a user's tokens below the version are stale, and so is one that tells no version")
    func users() {
        let set = set(.user("u", minimumVersion: 4, exceptSession: nil))
        #expect(refusal(set, claims(version: 3)) == .stale)
        #expect(refusal(set, claims(version: nil)) == .stale)
        #expect(refusal(set, claims(version: 4)) == nil)
        #expect(refusal(set, claims(user: "other", version: 3)) == nil)
    }

    @Test("everybody's tokens below the global version are revoked, and so is one that tells none")
    func everybody() {
        let set = set(.everybody(minimumVersion: 2), .everybody(minimumVersion: 1))
        #expect(refusal(set, claims(global: 1)) == .revoked)
        #expect(refusal(set, claims(global: nil)) == .revoked)
        #expect(refusal(set, claims(global: 2)) == nil)
    }

    @Test("a client's tokens are refused up to the second, whoever acts by them, and another client's are not")
    func clients() {
        var set = set(.client("x", issuedBefore: 100), .client("x", issuedBefore: 90))
        let service = { claims(user: "client_x", session: nil, version: nil, global: nil, client: $0, issuedAt: $1) }
        #expect(refusal(set, service("x", 99)) == .revoked, "the later of two counts")
        #expect(refusal(set, service("x", 100)) == nil)
        #expect(refusal(set, service("y", 99)) == nil)
        #expect(refusal(set, service(nil, 99)) == nil)
        #expect(refusal(set, claims(client: "x", issuedAt: 99)) == .revoked)
        set.add(.client("x", issuedBefore: 100), now: 50)
        set.purge(now: 900)
        #expect(refusal(set, service("x", 99)) == .revoked, "kept from when it was heard last")
        set.purge(now: 950)
        #expect(refusal(set, service("x", 99)) == nil && set.count == 0)
    }

    @Test("a service's own token is concerned by its client and by keys alone")
    func services() {
        var set = set(
            .everybody(minimumVersion: 9),
            .user("client_x", minimumVersion: 9, exceptSession: nil),
            .session("s")
        )
        let service = claims(user: "client_x", session: nil, version: nil, global: nil)
        #expect(refusal(set, service) == nil)
        set.add(.key("k"), now: 0)
        #expect(refusal(set, service) == .unknownKey)
    }

    @Test("whatever was exempted from whom, a token is refused exactly when some event refuses it: every order of four")
    func exceptions() {
        let events: [(version: Int64, except: String?)] = [(4, "a"), (5, "b"), (6, "a"), (5, nil)]
        var orders = 0
        func visit(_ order: [Int]) {
            for length in 1...max(order.count, 1) where length <= order.count {
                let chosen = order.prefix(length).map { events[$0] }
                var set = Revocations(lifetime: 900)
                for event in chosen {
                    set.add(.user("u", minimumVersion: event.version, exceptSession: event.except), now: 0)
                }
                for session in ["a", "b", "c"] {
                    for version in Int64(3)...6 {
                        let expected = chosen.contains { $0.except != session && version < $0.version }
                        let refused = refusal(set, claims(session: session, version: version)) == .stale
                        #expect(refused == expected, "\(chosen) \(session) \(version)")
                    }
                }
                orders += 1
            }
            guard order.count < 5 else { return }
            for index in events.indices { visit(order + [index]) }
        }
        visit([])
        #expect(orders > 1000)
    }

    @Test("an entry is kept for a token's lifetime after it came in last, and not longer")
    func lifetime() {
        var set = Revocations(lifetime: 900)
        set.add(.session("s"), now: 0)
        set.add(.user("u", minimumVersion: 4, exceptSession: nil), now: 10)
        set.add(.session("s"), now: 100)
        set.purge(now: 900)
        #expect(set.count == 2)
        #expect(refusal(set, claims(version: 9)) == .revoked)
        set.purge(now: 909)
        #expect(set.count == 2)
        set.purge(now: 910)
        #expect(set.count == 1)
        set.purge(now: 1000)
        #expect(set.count == 0)
        #expect(refusal(set, claims()) == nil)
    }

    @Test("memory is what a lifetime brings, however long it goes on")
    func bounded() {
        var set = Revocations(lifetime: 100)
        set.add(.key("k"), now: 0)
        set.add(.everybody(minimumVersion: 2), now: 0)
        for now in Int64(0)..<5000 {
            set.add(.session("s\(now)"), now: now)
            set.add(.user("u\(now % 150)", minimumVersion: now, exceptSession: nil), now: now)
            set.purge(now: now)
            #expect(set.count <= 202)
        }
        set.purge(now: 10_000)
        // A revoked key and the global version are not forgotten.
        #expect(set.count == 2)
        #expect(refusal(set, claims(global: 2)) == .unknownKey)
    }
}
