// How many connections a process has, and how many come from one network.
//
// Beyond its share a network's connections are closed as they come, so that one client cannot keep the others out.
// Beyond the process's limit nothing is accepted until a connection closes: the kernel holds those that wait.
package import Logging
import Metrics
import NIOCore
import Synchronization

/// Bounds of connections, in numbers and in time.
package struct ConnectionLimits: Sendable {
    /// Of the process.
    package var connections = 10_000
    /// Of one network: an IPv4 address, or a /64 of IPv6. Those of trusted proxies count in the process's limit alone.
    package var connectionsPerNetwork = 1000
    package var trustedProxies: [IPNetwork] = []
    /// How long a request may take to arrive whole, and a connection may stay idle.
    package var requestTimeout: Duration = .seconds(30)
    /// How long a client may take to read its share of an answer.
    package var writeTimeout: Duration = .seconds(30)

    package init() {}
}

/// Counts the connections of all servers of a process that share it.
package final class ConnectionPlaces: Sendable {
    private struct State {
        var count = 0
        var ofNetwork: [String: Int] = [:]
        var waiting: [@Sendable () -> Void] = []
        var saidPause: ContinuousClock.Instant?
    }

    package let limits: ConnectionLimits
    private let logger: Logger
    private let gauge: Gauge
    private let refused: Counter
    private let state = Mutex(State())

    /// `listeners`: whose connections they are, for /metrics.
    package init(limits: ConnectionLimits, listeners: String = "services", logger: Logger) {
        self.limits = limits
        self.logger = logger
        let dimensions = [("listeners", listeners)]
        gauge = Gauge(label: "tessera_http_connections", dimensions: dimensions)
        refused = Counter(label: "tessera_http_connections_refused_total", dimensions: dimensions)
    }

    /// How many connections there are.
    package var count: Int { state.withLock { $0.count } }

    /// Counts a connection in, whether it may stay or not.
    ///
    /// - Parameter peer: the address at the other end.
    /// - Returns: its place. It is given back when nothing refers to it.
    package func enter(_ peer: String?) -> ConnectionPlace {
        let network = peer.flatMap { peer in
            limits.trustedProxies.contains { $0.contains(peer) } ? nil : ClientAddress(peer).network
        }
        let isAllowed = state.withLock { state in
            state.count += 1
            // Here, since of two numbers that are recorded after the lock the older may come last, and would stay.
            gauge.record(state.count)
            guard let network else { return true }
            state.ofNetwork[network, default: 0] += 1
            return state.ofNetwork[network, default: 0] <= limits.connectionsPerNetwork
        }
        if !isAllowed { refused.increment() }
        return ConnectionPlace(self, network, isAllowed: isAllowed)
    }

    fileprivate func leave(_ network: String?) {
        let waiting = state.withLock { state in
            state.count -= 1
            gauge.record(state.count)
            if let network {
                let left = state.ofNetwork[network, default: 1] - 1
                state.ofNetwork[network] = left > 0 ? left : nil
            }
            guard state.count < limits.connections else { return [@Sendable () -> Void]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for resume in waiting { resume() }
    }

    /// Whether one more may be accepted; otherwise `resume` is called once when that has changed.
    func hasRoom(orCall resume: @Sendable @escaping () -> Void) -> Bool {
        let hasRoom = state.withLock { state in
            if state.count >= limits.connections { state.waiting.append(resume) }
            return state.count < limits.connections
        }
        if !hasRoom { sayPause("the limit of connections is reached", ["limit": "\(limits.connections)"]) }
        return hasRoom
    }

    /// Says once that accepting pauses, and again when it does so after a while.
    func sayPause(_ reason: String, _ metadata: Logger.Metadata) {
        let isNew = state.withLock { state in
            let now = ContinuousClock.now
            defer { state.saidPause = now }
            return state.saidPause.map { $0 + .seconds(60) < now } ?? true
        }
        guard isNew else { return }
        logger.warning("accepting connections pauses: \(reason)", metadata: metadata)
    }
}

/// One connection's place.
package final class ConnectionPlace: Sendable {
    /// Whether the connection's network has not more than its share.
    package let isAllowed: Bool
    private let places: ConnectionPlaces
    private let network: String?

    fileprivate init(_ places: ConnectionPlaces, _ network: String?, isAllowed: Bool) {
        self.places = places
        self.network = network
        self.isAllowed = isAllowed
    }

    deinit { places.leave(network) }
}
