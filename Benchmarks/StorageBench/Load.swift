// Callers that run one operation after the other until the time is up.

struct Load: Sendable {
    let callers: Int
    let seconds: Double
    let rows: Int

    struct Result: Sendable {
        /// Of every operation, in microseconds, sorted.
        let latencies: [UInt32]
        let seconds: Double

        func percentile(_ share: Double) -> Int {
            latencies.isEmpty ? 0 : Int(latencies[min(latencies.count - 1, Int(Double(latencies.count) * share))])
        }
    }

    /// Runs the callers, first for a tenth of the time without measuring.
    ///
    /// - Parameter operation: one operation on the row whose id it is given.
    /// - Returns: how long each operation took.
    /// - Throws: what an operation throws.
    func run(_ operation: @escaping @Sendable (Int) async throws -> Void) async throws -> Result {
        _ = try await callers(during: seconds / 10, operation)
        let start = ContinuousClock.now
        let latencies = try await callers(during: seconds, operation)
        let elapsed = start.duration(to: .now)
        return Result(latencies: latencies.sorted(), seconds: elapsed / .seconds(1))
    }

    private func callers(
        during seconds: Double,
        _ operation: @escaping @Sendable (Int) async throws -> Void
    ) async throws -> [UInt32] {
        let end = ContinuousClock.now + .seconds(seconds)
        return try await withThrowingTaskGroup(of: [UInt32].self) { group in
            for caller in 0..<callers {
                group.addTask {
                    var random = SplitMix(state: UInt64(caller) &* 0x9E37_79B9_7F4A_7C15)
                    var latencies: [UInt32] = []
                    var now = ContinuousClock.now
                    while now < end {
                        try await operation(Int.random(in: 1...rows, using: &random))
                        let after = ContinuousClock.now
                        latencies.append(UInt32(clamping: Int(now.duration(to: after) / .microseconds(1))))
                        now = after
                    }
                    return latencies
                }
            }
            return try await group.reduce(into: []) { $0 += $1 }
        }
    }
}

/// SplitMix64: a generator for each caller, so that picking a row costs nothing beside the transaction.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
