// Keeps this node's view of the keys fresh and rotates them when they are due.
import Logging
import ServiceKit
import ServiceLifecycle

/// Runs until shutdown; a failure is logged and tried again.
struct KeyMaintenance: Service {
    let keys: SigningKeys
    let logger: Logger
    /// Another node's rotation must be noticed well before the previous key leaves the JWKS, and a key that was retired
    /// as compromised, perhaps by a command, must stop signing here: mostly it is one read of a handful of rows.
    var interval: Duration = .seconds(5)

    func run() async throws {
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() {
            do {
                try await keys.maintain()
            } catch {
                logger.error("key maintenance failed", metadata: ["error": "\(error)"])
            }
        }
    }
}
