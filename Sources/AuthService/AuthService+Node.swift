// What makes this process a node of the deployment: its keys, its ring, its settings.
import Logging
import ServiceKit
import Storage

struct NodeFeatures: Sendable {
    let ring: RingRegistry
    let keys: SigningKeys
    let rings: RingAdministration
    let weakSettings: WeakSettings

    init(
        _ database: any SQLDatabase,
        _ configuration: AuthConfiguration,
        _ clock: Clock,
        _ ids: IDGenerator,
        _ events: Events,
        _ audit: Audit,
        _ logger: Logger
    ) {
        ring = RingRegistry(
            database: database,
            clock: clock,
            ring: configuration.masterKeys,
            node: ids.name(),
            name: configuration.nodeName,
            audit: audit
        )
        keys = SigningKeys(
            database: database,
            clock: clock,
            configuration: configuration,
            ring: ring,
            events: events,
            audit: audit,
            logger: logger
        )
        rings = RingAdministration(database: database, clock: clock, registry: ring, keys: keys, audit: audit)
        weakSettings = WeakSettings(database: database, clock: clock, audit: audit)
    }
}

extension AuthFeatures {
    var keys: SigningKeys { node.keys }
}

extension AuthService {
    package var keys: SigningKeys { features.node.keys }
    package var rings: RingAdministration { features.node.rings }
    var ring: RingRegistry { features.node.ring }

    /// Entries of this node's master ring that were withdrawn, by id: they can leave it.
    package var withdrawnKeys: [UInt8] { ring.withdrawn }

    /// Before this node listens: it registers itself, and records settings that are weaker than their defaults.
    package func beginServing() async throws {
        try await ring.join()
        try await features.node.weakSettings.record(configuration.weakSettings)
    }
}
