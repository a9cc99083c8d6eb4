// Work on the index in steps that do not delay other writers.

/// The size of a step. A step occupies SQLite's one writer, so its size follows the last duration, and an equally long
/// pause follows.
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
