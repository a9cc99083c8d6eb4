// Waits for another task, thread or process by polling until a deadline, never by a fixed sleep.

/// Returns when `condition` is true; throws when it is still false after `limit`.
///
/// - Parameters:
///   - limit: generous, because only a failing test waits it out.
///   - what: for the failure's text.
///   - condition: evaluated every few milliseconds.
/// - Throws: `NeverHappened` after the limit, and at once any error of `condition`.
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

package struct NeverHappened: Error, CustomStringConvertible {
    package let what: String
    package let limit: Duration

    package var description: String { "not within \(limit): \(what)" }
}
