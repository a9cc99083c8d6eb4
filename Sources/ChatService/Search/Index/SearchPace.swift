// Long work on the index, in steps that other writers do not feel.

/// How much one step does. A step keeps the one writer of SQLite busy, so its size follows the time that the last one
/// took, and a pause as long as the step follows each.
struct SearchPace: Sendable {
    private static let shortStep: Duration = .milliseconds(8)
    private static let longStep: Duration = .milliseconds(20)
    private static let maxPause: Duration = .milliseconds(100)

    private(set) var size: Int
    private let maxSize: Int

    init(first size: Int, upTo maxSize: Int) {
        self.size = size
        self.maxSize = maxSize
    }

    /// Runs one step and pauses.
    mutating func run<T>(_ step: (_ size: Int) async throws -> T) async throws -> T {
        let start = ContinuousClock.now
        let result = try await step(size)
        let elapsed = start.duration(to: .now)
        if elapsed < Self.shortStep { size = min(size * 2, maxSize) }
        if elapsed > Self.longStep { size = max(size / 2, 1) }
        try await Task.sleep(for: min(elapsed, Self.maxPause))
        return result
    }
}
