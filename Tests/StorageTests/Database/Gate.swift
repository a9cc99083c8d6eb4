import Dispatch
import Synchronization

/// Blocks an engine's thread inside a transaction until the test opens it; gives up after 30 s.
final class Gate: Sendable {
    private let entered = Atomic(false)
    private let semaphore = DispatchSemaphore(value: 0)

    var isEntered: Bool { entered.load(ordering: .acquiring) }

    func enterAndWait() {
        entered.store(true, ordering: .releasing)
        _ = semaphore.wait(timeout: .now() + 30)
    }

    func open() { semaphore.signal() }
}
