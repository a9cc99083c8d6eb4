package import ServiceKit
package import Storage
internal import Synchronization

/// A clock that a test sets.
package final class TestClock: Sendable {
    private let instant: Mutex<Instant>
    private let step: Duration

    /// `step`: how far each look moves it, so that rows made one after the other have an order.
    package init(_ instant: Instant = Instant(seconds: 1_800_000_000), step: Duration = .zero) {
        self.instant = Mutex(instant)
        self.step = step
    }

    package var now: Instant { instant.withLock { $0 } }

    package func set(_ new: Instant) { instant.withLock { $0 = new } }

    package func advance(_ duration: Duration) { instant.withLock { $0 = $0 + duration } }

    /// What a service is given.
    package var clock: Clock {
        Clock {
            self.instant.withLock { instant in
                instant = instant + self.step
                return instant
            }
        }
    }
}
