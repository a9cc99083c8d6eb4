import Testing

@testable import TesseraVerifier

@Suite("What a follower knows")
struct RevocationReplicaTests {
    private let start = ContinuousClock.now

    private func current() -> RevocationReplica {
        var replica = RevocationReplica(lifetime: 900, now: start - .seconds(100))
        replica.catchUp()
        replica.hear(at: start)
        return replica
    }

    private func suffices(_ replica: RevocationReplica, _ policy: StalePolicy, after silence: Duration) -> Bool {
        replica.suffices(policy) { start + silence }
    }

    @Test(
        "a feed that takes itself for current and has been silent for more than 15 s does not suffice",
        arguments: [Duration.zero, .seconds(1), .milliseconds(14_999), .seconds(15)]
    )
    func silence(limit: Duration) {
        var replica = current()
        let policy = StalePolicy.refuse(after: limit)
        #expect(replica.isCurrent)
        #expect(suffices(replica, policy, after: .zero))
        #expect(
            suffices(replica, policy, after: .seconds(15)),
            "three heartbeats are waited for, however short the limit"
        )
        #expect(!suffices(replica, policy, after: .seconds(15) + .nanoseconds(1)))
        #expect(!suffices(replica, policy, after: .seconds(3600)), "a process that was halted for an hour")
        replica.hear(at: start + .seconds(3600))
        #expect(suffices(replica, policy, after: .seconds(3615)), "heard from again")
        #expect(!suffices(replica, policy, after: .seconds(3616)))
    }

    @Test("a longer limit of the policy holds for silence too, and serving until expiry has none")
    func limits() {
        let replica = current()
        #expect(suffices(replica, .refuse(after: .seconds(60)), after: .seconds(60)))
        #expect(!suffices(replica, .refuse(after: .seconds(60)), after: .milliseconds(60_001)))
        #expect(suffices(replica, .serve, after: .seconds(3600)))
    }

    @Test("one that was told its stream ended has the policy's limit and no heartbeats more")
    func lost() {
        var replica = current()
        let wasCurrent = replica.lose()
        #expect(wasCurrent && !replica.isCurrent)
        let policy = StalePolicy.refuse(after: .seconds(5))
        #expect(suffices(replica, policy, after: .seconds(5)))
        #expect(!suffices(replica, policy, after: .milliseconds(5001)))
        replica.hear(at: start + .seconds(10))
        replica.catchUp()
        #expect(suffices(replica, policy, after: .seconds(25)))
    }

    @Test("what was never current never suffices")
    func never() {
        let replica = RevocationReplica(lifetime: 900, now: start)
        for policy in [StalePolicy.serve, .refuse(after: .seconds(3600))] {
            #expect(!suffices(replica, policy, after: .zero))
        }
    }
}
