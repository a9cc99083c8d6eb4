// When a session plans again.
//
// The plan of a prepared statement stays until the server learns something of its tables, which is when autovacuum
// has analysed them. A plan from when they were empty would serve the first thousands of rows: of an empty table one
// index is as good as another. So plans are made again each time the session has run twice as many statements as the
// last time, and each minute, for other sessions write as well. That costs some ten milliseconds of a session's
// minute at most.

struct PlanRenewal {
    private var executed = 0
    private var next = 64
    private var latest = ContinuousClock.now + interval

    private static let interval = Duration.seconds(60)

    /// Whether it is time, before so many statements more.
    mutating func isDue(before count: Int) -> Bool {
        executed += count
        let now = ContinuousClock.now
        guard executed >= next || now >= latest else { return false }
        if executed >= next { next = 2 * executed }
        latest = now + Self.interval
        return true
    }
}

extension Connection {
    /// Has the server plan again what it has prepared, if that is due before so many statements more.
    func renewPlans(before count: Int) {
        guard renewal.isDue(before: count) else { return }
        // A failure shows at the next use.
        _ = run([.command("DISCARD PLANS"), .sync])
    }
}
