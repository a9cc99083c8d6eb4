// An issuer whose key set is fetched by a function call, so that a test decides what each fetch finds and when it ends.
import Logging
import Synchronization
import TesseraVerifier

/// Answers fetches, and counts them.
final class ScriptedIssuer: Sendable {
    struct IsDown: Error {}

    private struct State {
        var answer: Result<KeySetAnswer, any Error> = .failure(IsDown())
        var tags: [String?] = []
        var isHeld = false
        var held: [CheckedContinuation<Void, Never>] = []
        var time = ContinuousClock.now
    }

    private let state = Mutex(State())

    /// Publishes the keys of these issuers from now on.
    func publish(_ issuers: TestIssuer..., entityTag: String? = nil, lifetime: Duration? = nil) throws {
        answer(.document(try document(of: issuers), entityTag: entityTag), lifetime: lifetime)
    }

    /// Answers this from now on.
    func answer(_ content: KeySetAnswer.Content, lifetime: Duration? = nil) {
        state.withLock { $0.answer = .success(KeySetAnswer(content, lifetime: lifetime)) }
    }

    /// Answers nothing from now on.
    func goDown() {
        state.withLock { $0.answer = .failure(IsDown()) }
    }

    /// How many fetches were begun.
    var fetches: Int { state.withLock(\.tags.count) }

    /// The entity tags that fetches came with.
    var tags: [String?] { state.withLock(\.tags) }

    /// Lets fetches begin but not end, until `release()`.
    func hold() {
        state.withLock { $0.isHeld = true }
    }

    /// How many fetches are held.
    var held: Int { state.withLock(\.held.count) }

    /// Lets the held fetches end with the answer they were begun with.
    func release() {
        let waiting = state.withLock { state in
            state.isHeld = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in waiting { continuation.resume() }
    }

    /// The time of a clock that stands.
    var now: ContinuousClock.Instant { state.withLock(\.time) }

    /// Lets time pass for the limit on looks for unknown keys.
    func pass(_ duration: Duration) {
        state.withLock { $0.time += duration }
    }

    /// A source that fetches from here. Its clock stands still unless the test moves it.
    func source(pace: KeyRefreshPace = KeyRefreshPace(), standingClock: Bool = true) -> RemoteKeySource {
        var logger = Logger(label: "test.keys")
        logger.logLevel = .critical
        return RemoteKeySource(
            pace: pace,
            logger: logger,
            now: { standingClock ? self.now : .now },
            fetch: { try await self.fetch($0) }
        )
    }

    private func fetch(_ entityTag: String?) async throws -> KeySetAnswer {
        let (answer, isHeld) = state.withLock { state in
            state.tags.append(entityTag)
            return (state.answer, state.isHeld)
        }
        if isHeld {
            await withCheckedContinuation { continuation in
                let isReleased = state.withLock { state in
                    if state.isHeld { state.held.append(continuation) }
                    return !state.isHeld
                }
                if isReleased { continuation.resume() }
            }
        }
        return try answer.get()
    }
}

/// A verifier that takes its keys from `source`.
func verifier(_ source: RemoteKeySource) -> TokenVerifier {
    TokenVerifier(requirements: TestIssuer.requirements, keys: source)
}

extension RemoteKeySource {
    /// Runs the service while `body` runs.
    func whileRunning(_ body: () async throws -> Void) async throws {
        let service = Task { try await self.run() }
        defer { service.cancel() }
        try await body()
        service.cancel()
        try await service.value
    }
}

extension KeyRefreshPace {
    /// A pace at which a test need not wait.
    static var quick: KeyRefreshPace {
        var pace = KeyRefreshPace()
        pace.shortestInterval = .milliseconds(5)
        pace.firstRetry = .milliseconds(5)
        pace.longestRetry = .milliseconds(10)
        return pace
    }
}
