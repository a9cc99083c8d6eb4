// The declarations of the areas, in one list for each part that works across all tables.
import ServiceKit
package import Storage

extension ChatService {
    /// The conformance suite executes each on both engines.
    package static let allStatements: [Statement] = [
        LeaseStatements.all, PrincipalStatements.all, IdempotencyStatements.all, MirrorStatements.all,
        UsageStatements.all, QuotaUsage.all, ReservationStatements.all, ConversationStatements.all,
        MessageStatements.all, TagStatements.all, VoteStatements.all, SearchBackfillStatements.all,
        SearchStatements.all, ChangeStatements.all, ErasureStatements.all, ExportStatements.all,
        AdminDataStatements.all,
    ].flatMap(\.self)

    /// What an erasure removes, in order.
    static func cleanupSteps(trash: Trash, changeRetention: Duration) -> [CleanupStep] {
        [
            IdempotencyStatements.cleanup, ReservationStatements.cleanup,
            ChangeStatements.cleanup(retention: changeRetention),
        ] + trash.cleanup
    }
}
