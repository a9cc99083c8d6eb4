// What clients may take of a process: connections, time, memory and requests.
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
    static let memoryBudget = Self(
        "TESSERA_MEMORY_BUDGET",
        .size(16 << 20...1 << 40),
        .value("256MiB"),
        "what all requests of a process may take at a time: bodies, parsed JSON, pages and exports under way"
    )
    static let personRate = Self(
        "TESSERA_PERSON_REQUESTS_PER_SECOND",
        .number(1...1_000_000),
        .value("50"),
        "requests a second of one account, on each node and in each service"
    )
    static let personBurst = Self(
        "TESSERA_PERSON_REQUESTS_BURST",
        .number(1...10_000_000),
        .value("500"),
        "requests of one account at once, after a pause"
    )
    static let addressRate = Self(
        "TESSERA_ADDRESS_REQUESTS_PER_SECOND",
        .number(1...1_000_000),
        .value("50"),
        "requests a second without a valid token from one IPv4 address or IPv6 /64"
    )
    static let addressBurst = Self(
        "TESSERA_ADDRESS_REQUESTS_BURST",
        .number(1...10_000_000),
        .value("500"),
        "such requests at once, after a pause"
    )

    static let limits: [ConfigurationKey] = [
        maxConnections, maxConnectionsPerNetwork, requestTimeout, writeTimeout, memoryBudget, personRate, personBurst,
        addressRate, addressBurst,
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

extension RequestLimits {
    init(_ reader: SettingsReader) throws {
        self.init(
            person: RequestRate(perSecond: try reader.number(.personRate), burst: try reader.number(.personBurst)),
            address: RequestRate(perSecond: try reader.number(.addressRate), burst: try reader.number(.addressBurst))
        )
        isOn = try reader.choice(.rateLimits) != "off"
    }
}
