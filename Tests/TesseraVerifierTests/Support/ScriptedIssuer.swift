// An issuer whose key set is fetched by a function call, so that a test decides the answer and the end of each fetch.
import Logging
import Synchronization
import TesseraVerifier

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

    func publish(_ issuers: TestIssuer..., entityTag: String? = nil, lifetime: Duration? = nil) throws {
        answer(.document(try document(of: issuers), entityTag: entityTag), lifetime: lifetime)
    }

    func answer(_ content: KeySetAnswer.Content, lifetime: Duration? = nil) {
        state.withLock { $0.answer = .success(KeySetAnswer(content, lifetime: lifetime)) }
    }

    func goDown() {
        state.withLock { $0.answer = .failure(IsDown()) }
    }

    var fetches: Int { state.withLock(\.tags.count) }

    var tags: [String?] { state.withLock(\.tags) }

    /// Fetches begin but do not end until `release()`.
    func hold() {
        state.withLock { $0.isHeld = true }
    }

    var held: Int { state.withLock(\.held.count) }

    /// Each gets the answer of its beginning.
    func release() {
        let waiting = state.withLock { state in
            state.isHeld = false
            defer { state.held = [] }
            return state.held
        }
        for continuation in waiting { continuation.resume() }
    }

    /// A clock that stands still.
    var now: ContinuousClock.Instant { state.withLock(\.time) }

    /// For the limit on fetches for unknown keys.
    func pass(_ duration: Duration) {
        state.withLock { $0.time += duration }
    }

    /// Its clock stands still unless the test moves it.
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

func verifier(_ source: RemoteKeySource) -> TokenVerifier {
    TokenVerifier(requirements: TestIssuer.requirements, keys: source)
}

extension RemoteKeySource {
    func whileRunning(_ body: () async throws -> Void) async throws {
        let service = Task { try await self.run() }
        defer { service.cancel() }
        try await body()
        service.cancel()
        try await service.value
    }
}

extension KeyRefreshPace {
    static var quick: KeyRefreshPace {
        var pace = KeyRefreshPace()
        pace.minInterval = .milliseconds(5)
        pace.firstRetry = .milliseconds(5)
        pace.maxRetryInterval = .milliseconds(10)
        return pace
    }
}
