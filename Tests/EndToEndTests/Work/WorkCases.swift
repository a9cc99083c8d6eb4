// What one request may cost. Times are compared with the same request on a small neighbour in the same run. Each test
// is named after its case.
import Foundation
import TestSupport
import Testing

@Suite("What one request may cost", .serialized)
struct WorkCases {
    @Test(arguments: Engine.allCases)
    func siblings_do_not_walk_tombstones(engine: Engine) async throws {
        let work = try await WorkInstallation(engine)
        let small = try await work.conversation()
        try await work.append(99, to: small.id, below: small.root)
        let large = try await work.conversation()
        try await work.insert(40_000, into: large.id, below: large.root, isChain: false)
        try await work.truncate(large.id)
        try await work.append(99, to: large.id, below: large.root)
        try await work.expectSame(
            small.id,
            large.id,
            within: 3,
            pages: ["include=siblings&limit=100", "include=siblings&limit=100&order=desc"]
        )
        try await work.end()
    }

    @Test(arguments: Engine.allCases)
    func pages_do_not_walk_tombstones(engine: Engine) async throws {
        let work = try await WorkInstallation(engine)
        let small = try await work.conversation()
        try await work.append(1, to: small.id)
        let large = try await work.conversation()
        try await work.insert(20_000, into: large.id, below: large.root, isChain: true)
        try await work.truncate(large.id)
        try await work.append(1, to: large.id)
        try await work.expectSame(
            small.id,
            large.id,
            within: 5,
            pages: [
                "limit=20", "limit=20&order=desc", "last=20", "leaf=head&limit=20", "leaf=head&order=asc&limit=20",
            ]
        )
        try await work.end()
    }

    @Test(arguments: Engine.allCases)
    func appending_does_not_slow_down(engine: Engine) async throws {
        let work = try await WorkInstallation(engine)
        let short = try await work.conversation()
        let long = try await work.conversation()
        try await work.insert(8000, into: long.id, below: long.root, isChain: true)
        // By turns, and the shortest times: a busy machine slows both down, now and then.
        let most = Duration.seconds(3600)
        var (first, last) = (most, most)
        for _ in 0..<20 {
            first = min(first, try await work.time { try await work.append(100, to: short.id) })
            last = min(last, try await work.time { try await work.append(100, to: long.id) })
        }
        print("\(engine): 100 messages take \(first), and \(last) after 8,000")
        #expect(last <= first * 1.5 + .milliseconds(5))
        try await work.end()
    }

    @Test(arguments: Engine.allCases)
    func a_fork_costs_its_messages(engine: Engine) async throws {
        let work = try await WorkInstallation(engine)
        func fork(_ id: String, at message: String? = nil) async throws -> Client.Answer {
            let body: JSONValue = if let message { ["message_id": .string(message)] } else { [:] }
            return try await work.chat.post("/v1/conversations/\(id)/fork", body, token: work.token)
        }
        var took: [Duration] = []
        for count in [2000, 8000] {
            let (id, root) = try await work.conversation()
            try await work.insert(count, into: id, below: root, isChain: true)
            took.append(try await work.best(of: 2) { try await fork(id) })
        }
        print("\(engine): forks of 2,000 and 8,000 messages take \(took)")
        #expect(took[1] <= took[0] * 6 + .milliseconds(50), "\(took)")
        #expect(took[1] < Duration.seconds(3) * WorkInstallation.slowness, "\(took)")

        let small = try await work.conversation()
        let large = try await work.conversation()
        try await work.insert(20_000, into: large.id, below: large.root, isChain: true)
        let few = try await work.best { try await fork(small.id, at: small.root) }
        let many = try await work.best { try await fork(large.id, at: large.root) }
        #expect(many <= few * 5 + .milliseconds(10), "\(few), then \(many)")
        try await work.end()
    }

    @Test(arguments: Engine.allCases)
    func a_large_conversation_is_removed_beside_the_others(engine: Engine) async throws {
        let work = try await WorkInstallation(engine)
        let other = try await WorkInstallation.person("other", work.installation)
        let (theirs, _) = try await work.conversation(of: other)
        let (id, root) = try await work.conversation()
        try await work.insert(20_000, into: id, below: root, isChain: true)
        let (slowest, took) = try await withThrowingTaskGroup(of: Duration.self) { group in
            group.addTask {
                var slowest = Duration.zero
                while !Task.isCancelled {
                    let begin = ContinuousClock.now
                    let answer = try? await work.chat.post(
                        "/v1/conversations/\(theirs)/messages",
                        ["role": "user", "content": "x"],
                        token: other
                    )
                    // The request under way at the end is cancelled.
                    guard let answer else { break }
                    #expect(answer.status == 201, "\(answer.text)")
                    slowest = max(slowest, ContinuousClock.now - begin)
                }
                return slowest
            }
            let begin = ContinuousClock.now
            let answer = try await work.chat.send(
                "DELETE",
                "/v1/conversations/\(id)?permanent=true",
                token: work.token
            )
            let took = ContinuousClock.now - begin
            #expect(answer.status == 204, "\(answer.text)")
            group.cancelAll()
            return (try await group.next() ?? .zero, took)
        }
        print("\(engine): 20,000 messages are removed in \(took), and an append beside them takes at most \(slowest)")
        #expect(slowest < Duration.milliseconds(100) * WorkInstallation.slowness)
        #expect(took < Duration.seconds(2) * WorkInstallation.slowness)
        try await work.end()
    }
}
