// A cache of clients for endpoints with thousands of requests a second. It also holds the digests of verified
// credentials, so that they are not parsed for each request.
//
// A change by this node takes effect at once, one by another node within five seconds: a rotated secret or removed
// scope works for that long. A client that another node disabled or removed is dropped when the event arrives. The
// token endpoint does not use this cache.
import OpenSSLCrypto
import Storage
import Synchronization

final class RecentClients: Sendable {
    static let life: Duration = .seconds(5)
    private static let maxCount = 256

    private struct Entry {
        let client: Client
        let end: Instant
    }

    private struct State {
        var clients: [String: Entry] = [:]
        var callers: [SHA256Digest: Entry] = [:]
        /// Counts removals.
        var forgettings: UInt64 = 0
    }

    private let state = Mutex(State())

    func client(_ id: String, at now: Instant) -> Client? {
        state.withLock { state in
            guard let entry = state.clients[id], now < entry.end else { return nil }
            return entry.client
        }
    }

    func caller(_ credentials: SHA256Digest, at now: Instant) -> Client? {
        state.withLock { state in
            guard let entry = state.callers[credentials], now < entry.end else { return nil }
            return entry.client
        }
    }

    /// Taken before a row is read and passed with it, so that a removal in between stays effective.
    var mark: UInt64 { state.withLock(\.forgettings) }

    func remember(_ client: Client, readAt: Instant, mark: UInt64) {
        state.withLock { state in
            guard state.forgettings == mark else { return }
            if state.clients.count >= Self.maxCount { state.clients = [:] }
            state.clients[client.id] = Entry(client: client, end: readAt + Self.life)
        }
    }

    /// Caches credentials as long as the client's row, and not beyond the end of a secret that they may contain.
    func remember(_ credentials: SHA256Digest, of client: Client, at now: Instant) {
        state.withLock { state in
            guard let known = state.clients[client.id], known.client.updatedAt == client.updatedAt else { return }
            var end = known.end
            if let secretEnd = client.previousSecretExpiresAt, secretEnd > now { end = min(end, secretEnd) }
            if state.callers.count >= Self.maxCount { state.callers = [:] }
            state.callers[credentials] = Entry(client: client, end: end)
        }
    }

    func forget(_ id: String) {
        state.withLock { state in
            state.forgettings += 1
            state.clients[id] = nil
            state.callers = state.callers.filter { $0.value.client.id != id }
        }
    }
}
