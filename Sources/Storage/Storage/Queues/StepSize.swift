// How much one step of a long job does (decision 0050).
//
// A step holds up all other writes for as long as it runs: SQLite has one writer. How long that is depends on the
// machine, on the rows and on what else it does. So a job measures each step, and after a slow one does less in the
// next. A step that waits for others counts as slow, too: beside others a job is to take small steps.

/// Between a sixteenth of a limit and the limit.
package struct StepSize: Sendable {
    /// What a step may take, its wait included.
    package static let longest: Duration = .milliseconds(50)

    package let limit: Int64
    /// What the next step may do.
    package private(set) var count: Int64

    /// Begins with the limit.
    package init(limit: Int64) {
        self.limit = limit
        count = limit
    }

    /// Takes note of how long a step took that could do `count`: half as much after a slow one, twice as much after a
    /// quick one.
    package mutating func took(_ time: Duration) {
        if time > Self.longest {
            count = max(count / 2, limit / 16, 1)
        } else if time <= Self.longest / 4 {
            count = min(count * 2, limit)
        }
    }

    /// The same share of another limit.
    package func share(of other: Int) -> Int { max(1, other / Int(limit) * Int(count)) }
}
