// Runs blocking work on its own thread: never on the cooperative pool or an event loop.

internal import Foundation

/// Threads of the storage engines.
package enum OwnThread {
    /// Starts a named thread that runs `body` once and ends.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let thread = Thread { body() }
        thread.name = name
        thread.start()
    }

    /// Runs a blocking function on a new thread, without blocking the caller's.
    package static func run<T: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> T) async throws -> T {
        try await withCheckedThrowingContinuation { continuation in
            start(name) { continuation.resume(with: Result(catching: body)) }
        }
    }
}
