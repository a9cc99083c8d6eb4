import Testing

@testable import TesseraVerifier

@Suite("What a follower knows")
struct FeedKnowledgeTests {
    private let start = ContinuousClock.now

    private func current() -> FeedKnowledge {
        var knowledge = FeedKnowledge(lifetime: 900, now: start - .seconds(100))
        knowledge.catchUp()
        knowledge.hear(at: start)
        return knowledge
    }

    private func suffices(_ knowledge: FeedKnowledge, _ policy: StalePolicy, after silence: Duration) -> Bool {
        knowledge.suffices(policy) { start + silence }
    }

    @Test(
        "a feed that takes itself for current and has been silent for more than 15 s does not suffice",
        arguments: [Duration.zero, .seconds(1), .milliseconds(14_999), .seconds(15)]
    )
    func silence(limit: Duration) {
        var knowledge = current()
        let policy = StalePolicy.refuse(after: limit)
        #expect(knowledge.isCurrent)
        #expect(suffices(knowledge, policy, after: .zero))
        #expect(
            suffices(knowledge, policy, after: .seconds(15)),
            "three heartbeats are waited for, however short the limit"
        )
        #expect(!suffices(knowledge, policy, after: .seconds(15) + .nanoseconds(1)))
        #expect(!suffices(knowledge, policy, after: .seconds(3600)), "a process that was halted for an hour")
        knowledge.hear(at: start + .seconds(3600))
        #expect(suffices(knowledge, policy, after: .seconds(3615)), "heard from again")
        #expect(!suffices(knowledge, policy, after: .seconds(3616)))
    }

    @Test("a longer limit of the policy holds for silence too, and serving until expiry has none")
    func limits() {
        let knowledge = current()
        #expect(suffices(knowledge, .refuse(after: .seconds(60)), after: .seconds(60)))
        #expect(!suffices(knowledge, .refuse(after: .seconds(60)), after: .milliseconds(60_001)))
        #expect(suffices(knowledge, .serve, after: .seconds(3600)))
    }

    @Test("one that was told its stream ended has the policy's limit and no heartbeats more")
    func lost() {
        var knowledge = current()
        let wasCurrent = knowledge.lose()
        #expect(wasCurrent && !knowledge.isCurrent)
        let policy = StalePolicy.refuse(after: .seconds(5))
        #expect(suffices(knowledge, policy, after: .seconds(5)))
        #expect(!suffices(knowledge, policy, after: .milliseconds(5001)))
        knowledge.hear(at: start + .seconds(10))
        knowledge.catchUp()
        #expect(suffices(knowledge, policy, after: .seconds(25)))
    }

    @Test("what was never current never suffices")
    func never() {
        let knowledge = FeedKnowledge(lifetime: 900, now: start)
        for policy in [StalePolicy.serve, .refuse(after: .seconds(3600))] {
            #expect(!suffices(knowledge, policy, after: .zero))
        }
    }
}
