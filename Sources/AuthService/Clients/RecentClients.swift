// Clients that were read a moment ago, for endpoints that are asked thousands of times a second.
//
// A change made by this node counts at once, one made elsewhere within five seconds: that is how much longer a disabled
// client may ask about tokens. Where tokens are made nothing is remembered.
import Storage
import Synchronization

final class RecentClients: Sendable {
    static let life: Duration = .seconds(5)
    private static let most = 256

    private let entries = Mutex<[String: (client: Client, readAt: Instant)]>([:])

    func client(_ id: String, at now: Instant) -> Client? {
        entries.withLock { entries in
            guard let entry = entries[id], now < entry.readAt + Self.life else { return nil }
            return entry.client
        }
    }

    func remember(_ client: Client, readAt: Instant) {
        entries.withLock { entries in
            if entries.count >= Self.most { entries = [:] }
            entries[client.id] = (client, readAt)
        }
    }

    func forget(_ id: String) {
        entries.withLock { $0[id] = nil }
    }
}
