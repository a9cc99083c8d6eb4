internal import Dispatch
internal import Synchronization

/// Holds a thread until a test opens it, for example an engine's inside a transaction; gives up after 30 s.
package final class Gate: Sendable {
    private let entered = Atomic(false)
    private let semaphore = DispatchSemaphore(value: 0)

    package init() {}

    package var isEntered: Bool { entered.load(ordering: .acquiring) }

    package func enterAndWait() {
        entered.store(true, ordering: .releasing)
        _ = semaphore.wait(timeout: .now() + 30)
    }

    package func open() { semaphore.signal() }
}
