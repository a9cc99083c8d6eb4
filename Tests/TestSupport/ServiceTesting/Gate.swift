internal import Dispatch
internal import Synchronization

/// Holds a thread until a test opens it, for example an engine's inside a transaction. Each opening lets one thread go.
package final class Gate: Sendable {
    private let entered = Atomic(false)
    private let semaphore = DispatchSemaphore(value: 0)

    package init() {}

    package var isEntered: Bool { entered.load(ordering: .acquiring) }

    /// Gives up in the end, so that a failed test ends.
    package func enterAndWait(atMost seconds: Int = 30) {
        entered.store(true, ordering: .releasing)
        _ = semaphore.wait(timeout: .now() + .seconds(seconds))
    }

    package func open(_ count: Int = 1) { for _ in 0..<count { semaphore.signal() } }
}
