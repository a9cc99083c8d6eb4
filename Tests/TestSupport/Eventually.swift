// Waiting for something that another task, thread or process brings about: by looking again until a deadline,
// never by sleeping for as long as it "should" take.

/// Returns when `condition` is true; throws when it is still false after `limit`.
///
/// - Parameters:
///   - limit: How long to go on looking. Generous: only a failing test waits it out.
///   - what: What is waited for, for the failure's text.
///   - condition: Looked at every few milliseconds.
/// - Throws: `NeverHappened` after the limit, and at once what `condition` throws.
package func eventually(
    within limit: Duration = .seconds(30),
    _ what: String,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + limit
    var pause = Duration.milliseconds(2)
    while true {
        if try await condition() { return }
        guard clock.now < deadline else { throw NeverHappened(what: what, limit: limit) }
        try await clock.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(50))
    }
}

/// What was waited for did not come about.
package struct NeverHappened: Error, CustomStringConvertible {
    package let what: String
    package let limit: Duration

    package var description: String { "not within \(limit): \(what)" }
}
