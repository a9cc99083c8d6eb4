// Auth verifies with the same verifier as every service, with keys from memory. It never calls itself over HTTP.
import ServiceKit
import Storage
import Synchronization
import TesseraVerifierHummingbird

final class LocalKeySource: KeySource {
    private let keys: SigningKeys
    private let clock: Clock
    private struct State {
        var lastReload: Instant?
        /// The read in progress, which all callers share.
        var reload: Task<Void, any Error>?
    }

    private let state = Mutex(State())

    init(keys: SigningKeys, clock: Clock) {
        self.keys = keys
        self.clock = clock
    }

    func snapshot() -> KeySet { keys.verification }

    /// SECURITY: anyone can send key ids, so unknown ones cost one read in five seconds, not one each. A failed read
    /// proves nothing about the key, so its callers get an error.
    ///
    /// - Throws: `SigningKeyError.unreadable` for a published key that this node cannot verify with.
    func refresh(afterUnknownKeyID kid: String) async throws {
        try await reload()
        if keys.published.unreadable.contains(kid) { throw SigningKeyError.unreadable(kid: kid) }
    }

    private func reload() async throws {
        let now = clock.now()
        let reload = state.withLock { state -> Task<Void, any Error>? in
            if let running = state.reload { return running }
            if let last = state.lastReload, now < last + .seconds(5) { return nil }
            let task = Task { [keys] in try await keys.reload() }
            state.reload = task
            return task
        }
        guard let reload else { return }
        let result = await reload.result
        state.withLock { state in
            guard state.reload == reload else { return }
            state.reload = nil
            if case .success = result { state.lastReload = now }
        }
        try result.get()
    }
}
