// One account's work beside another's.
import Foundation
import TestSupport
import Testing

@Suite("Callers beside each other")
struct CallerShareTests {
    /// Ten times as long as in a quiet process, and 50 ms for a busy machine: a time that only a long run holds, alone.
    @Test(arguments: Engine.allCases)
    func one_caller_does_not_stop_the_others(engine: Engine) async throws {
        let bounds = try await BoundsInstallation(engine)
        let chat = bounds.installation.chat
        let other = try await BoundsInstallation.person("other", bounds.installation)
        let id = try await bounds.conversation()
        try await bounds.append(TestScope.rounds(2000, long: 20_000), to: id)

        func slowest(of count: Int) async throws -> Duration {
            var times: [Duration] = []
            for _ in 0..<count {
                let begin = ContinuousClock.now
                #expect(try await chat.get("/v1/conversations", token: other).status == 200)
                times.append(.now - begin)
            }
            return times.sorted()[count * 99 / 100 - 1]
        }
        let quiet = try await slowest(of: TestScope.rounds(50, long: 200))
        let loaded = try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<32 {
                group.addTask {
                    while !Task.isCancelled {
                        let paths = [
                            "/v1/search?q=word*&limit=100",
                            "/v1/conversations/\(id)/messages?leaf=head&order=asc&limit=100",
                        ]
                        for path in paths { _ = try? await chat.get(path, token: bounds.token) }
                    }
                }
            }
            // The first of them has come back: all are at work.
            try await eventually("the heavy reads are under way") {
                try await chat.get("/v1/search?q=word1*&limit=1", token: bounds.token).status == 200
            }
            let loaded = try await slowest(of: TestScope.rounds(20, long: 100))
            group.cancelAll()
            return loaded
        }
        print("\(engine): the other's p99 is \(quiet) alone and \(loaded) beside 32 heavy readers")
        if TestScope.current == .long { #expect(loaded < quiet * 10 + .milliseconds(50), "\(quiet), then \(loaded)") }
        try await bounds.end()
    }
}
