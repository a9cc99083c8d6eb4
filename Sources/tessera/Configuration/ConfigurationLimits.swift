// What clients may take of a process: connections and time.
import ServiceKit

extension ConfigurationKey {
    static let maxConnections = Self(
        "TESSERA_MAX_CONNECTIONS",
        .number(1...1_000_000),
        .value("10000"),
        "connections of a process; beyond it new ones wait. Fewer where the limit of open files is low"
    )
    static let maxConnectionsPerNetwork = Self(
        "TESSERA_MAX_CONNECTIONS_PER_NETWORK",
        .number(1...1_000_000),
        .value("1000"),
        "connections from one IPv4 address or IPv6 /64; more are closed. Trusted proxies are not counted here"
    )
    static let requestTimeout = Self(
        "TESSERA_REQUEST_TIMEOUT",
        .duration(1...3600),
        .value("30s"),
        "how long a request may take to arrive, and a connection may be idle"
    )
    static let writeTimeout = Self(
        "TESSERA_WRITE_TIMEOUT",
        .duration(1...3600),
        .value("30s"),
        "how long a client may take to read each MiB of an answer, or its rest"
    )
    static let limits: [ConfigurationKey] = [
        maxConnections, maxConnectionsPerNetwork, requestTimeout, writeTimeout,
    ]
}

extension ConnectionLimits {
    init(_ reader: SettingsReader, trustedProxies: [IPNetwork]) throws {
        self.init()
        connections = try reader.number(.maxConnections)
        connectionsPerNetwork = try reader.number(.maxConnectionsPerNetwork)
        self.trustedProxies = trustedProxies
        requestTimeout = try reader.duration(.requestTimeout)
        writeTimeout = try reader.duration(.writeTimeout)
    }
}
