// The declarations of the areas, in one list for each part that works across all tables.
import ServiceKit
package import Storage

extension ChatService {
    /// The conformance suite executes each on both engines.
    package static let allStatements: [Statement] = [
        LeaseStatements.all, PrincipalStatements.all, IdempotencyStatements.all, MirrorStatements.all,
        UsageStatements.all, CorrectionStatements.all, QuotaUsage.all, ReservationStatements.all,
        ConversationStatements.all,
        PrincipalExport.all, ConversationExport.all, ConversationImport.all,
        MessageStatements.all, TagStatements.all, VoteStatements.all, SearchBackfillStatements.all,
        SearchStatements.all, ChangeStatements.all, StreamTicketStatements.all,
        ErasureStatements.all(removing: erasure),
        export.flatMap(\.statements),
        AdminDataStatements.all,
    ].flatMap(\.self)

    /// What an erasure removes, in order.
    static let erasure: [ErasureStep] = [
        VoteData.erasure, TagData.erasure, IdempotencyStatements.erasure, ConversationData.erasure,
        UsageData.erasure, ReservationStatements.erasure, StreamTicketStatements.erasure, ChangeStatements.erasure,
    ].flatMap(\.self)

    /// What an export has after conversations and their messages, in order.
    static let export: [FlatExport] = TagData.export + VoteData.export + UsageData.export

    /// Unneeded rows, in the order of removal.
    static func cleanupSteps(trash: Trash, changeRetention: Duration) -> [CleanupStep] {
        [
            IdempotencyStatements.cleanup, ReservationStatements.cleanup, StreamTicketStatements.cleanup,
            ChangeStatements.cleanup(retention: changeRetention),
        ] + trash.cleanup
    }
}
