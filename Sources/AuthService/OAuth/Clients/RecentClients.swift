// Clients that were read a moment ago, for endpoints that are asked thousands of times a second; and callers that proved
// themselves a moment ago, by the digest of what they sent, so that the proof is not taken apart for each request.
//
// A change made by this node counts at once. One made elsewhere counts within five seconds: that is how long a secret
// that was rotated out, or a scope that was taken away, still asks about tokens. A client that was disabled or removed
// elsewhere is forgotten as soon as the event says so. Where tokens are made nothing is remembered.
import OpenSSLCrypto
import Storage
import Synchronization

final class RecentClients: Sendable {
    static let life: Duration = .seconds(5)
    private static let most = 256

    private struct Entry {
        let client: Client
        let end: Instant
    }

    private struct State {
        var clients: [String: Entry] = [:]
        var callers: [SHA256Digest: Entry] = [:]
        /// How often something was forgotten.
        var forgettings: UInt64 = 0
    }

    private let state = Mutex(State())

    func client(_ id: String, at now: Instant) -> Client? {
        state.withLock { state in
            guard let entry = state.clients[id], now < entry.end else { return nil }
            return entry.client
        }
    }

    /// The client that sent these credentials before.
    func caller(_ credentials: SHA256Digest, at now: Instant) -> Client? {
        state.withLock { state in
            guard let entry = state.callers[credentials], now < entry.end else { return nil }
            return entry.client
        }
    }

    /// To be taken before a row is read, and handed in with it: what was forgotten in between stays forgotten.
    var mark: UInt64 { state.withLock(\.forgettings) }

    func remember(_ client: Client, readAt: Instant, mark: UInt64) {
        state.withLock { state in
            guard state.forgettings == mark else { return }
            if state.clients.count >= Self.most { state.clients = [:] }
            state.clients[client.id] = Entry(client: client, end: readAt + Self.life)
        }
    }

    /// Remembers who sent these credentials, for as long as the client's row is remembered, and not beyond the end of a
    /// secret that they may hold.
    func remember(_ credentials: SHA256Digest, of client: Client, at now: Instant) {
        state.withLock { state in
            guard let known = state.clients[client.id], known.client.updatedAt == client.updatedAt else { return }
            var end = known.end
            if let secretEnd = client.previousSecretExpiresAt, secretEnd > now { end = min(end, secretEnd) }
            if state.callers.count >= Self.most { state.callers = [:] }
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
