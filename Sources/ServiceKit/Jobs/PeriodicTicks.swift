// Yields after each interval until its task is cancelled. A late tick is not made up for.

package struct PeriodicTicks: AsyncSequence, Sendable {
    package typealias Element = Void

    private let interval: Duration

    package init(every interval: Duration) {
        self.interval = interval
    }

    package struct AsyncIterator: AsyncIteratorProtocol {
        let interval: Duration

        package mutating func next() async -> Void? {
            do {
                try await Task.sleep(for: interval)
                return ()
            } catch {
                return nil
            }
        }
    }

    package func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(interval: interval)
    }
}
