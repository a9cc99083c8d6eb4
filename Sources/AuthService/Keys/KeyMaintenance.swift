// Keeps the keys in memory fresh and rotates them when due.
import Logging
import ServiceKit
import ServiceLifecycle

/// Runs until shutdown; a failure is logged and retried.
struct KeyMaintenance: Service {
    let keys: SigningKeys
    let ring: RingRegistry
    let logger: Logger
    /// A rotation by another node must be noticed well before the previous key leaves the JWKS, and a compromised key
    /// must stop signing here. Usually it is one read of a few rows.
    var interval: Duration = .seconds(5)

    func run() async throws {
        await PeriodicJob(every: interval, failure: "key maintenance failed", logger: logger).run {
            try await ring.maintain()
            try await keys.maintain()
        }
        await ring.leave()
    }
}
