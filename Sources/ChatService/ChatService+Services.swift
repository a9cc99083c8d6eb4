// What runs beside the server of a node.
import ServiceKit
package import ServiceLifecycle

extension ChatService {
    package var services: [any Service] {
        let mirror = userEvents.map { events in
            MirrorService(
                mirror: UserMirror(
                    database: features.database,
                    source: events.pages,
                    beginErasure: { [erasures] in erasures.begin(of: $0, reason: .userDeleted, by: nil, at: $1) },
                    blocked: features.blocked,
                    clock: clock,
                    ids: features.ids,
                    logger: logger
                ),
                news: events.news,
                lease: features.lease("auth_feed"),
                logger: logger
            )
        }
        return [
            BlockedPrincipalsWatch(
                blocked: features.blocked,
                database: features.database,
                clock: clock,
                logger: logger
            ),
            ErasureService(erasures: erasures, lease: features.lease("erasures"), logger: logger),
            ChangeNotices(feed: features.changeFeed, changes: features.changes, logger: logger),
            ChatCleanupService(cleanup: cleanup, interval: configuration.cleanupInterval, logger: logger),
            SearchMaintenanceService(
                database: features.quietDatabase,
                clock: clock,
                lease: features.lease("search"),
                logger: logger
            ),
        ] + [mirror].compactMap(\.self)
    }
}
