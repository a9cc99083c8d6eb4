// Applies auth's events about users to principals, exactly once. The transaction with the effects moves the cursor, a
// row of chat's own database, and the effects require that move. So a page takes effect as a whole or not at all, also
// with two nodes, a crash, or a repeated page.
//
// The feed is read in two passes. `user.deleted` is read from the beginning of the log and never has a gap. Auth keeps
// the other kinds for a while only, so a cursor there may be void (410). Then the pass begins at auth's oldest event,
// and clears flags of deactivation. A missed reactivation would lock a person out for ever. The tokens of a missed
// deactivation are revoked and have expired. Names and pictures are right again after their next change.
//
// After a restore of auth its log is a new one (410 for both). Deletions are read from the beginning, which erases no
// one twice. A user whose deletion the restore undid stays erased here, because the rows are gone.
import Logging
import ServiceKit
import Storage
import TesseraVerifierHummingbird

enum FeedSelection: String, Sendable, CaseIterable {
    case deletions, profiles

    var kinds: [String] {
        switch self {
        case .deletions: ["user.deleted"]
        case .profiles: ["user.created", "user.updated", "user.deactivated", "user.reactivated"]
        }
    }
}

struct UserMirror: Sendable {
    let database: any SQLDatabase
    let source: any UserEventSource
    /// Makes the receipt of a user who was deleted, behind the tombstone.
    let beginErasure: @Sendable (_ user: String, _ now: Instant) -> BoundStatement
    let blocked: BlockedPrincipals
    let clock: Clock
    let ids: IDGenerator
    let logger: Logger

    static let batchSize = 100
    /// Rows in one transaction that clears flags.
    private static let repair = 500

    /// Reads the next page of a pass.
    ///
    /// - Returns: whether to continue at once.
    func follow(_ selection: FeedSelection) async throws -> Bool {
        let row = try await database.run(MirrorStatements.cursor(of: selection)).first
        guard let cursor = try row?.text("cursor") else { throw StorageError.invalidRow(column: "cursor") }
        let page: UserEventPage
        do {
            page = try await source.page(
                after: cursor.isEmpty ? nil : cursor,
                kinds: selection.kinds,
                limit: Self.batchSize
            )
        } catch EventPages.Failure.cursorGone {
            try await beginAnew(selection, from: cursor)
            return true
        }
        guard page.next != cursor else { return false }
        try await apply(page, selection, from: cursor)
        return page.hasMore
    }

    private func apply(_ page: UserEventPage, _ selection: FeedSelection, from cursor: String) async throws {
        let advanceToken = ids.name(bytes: 16)
        let now = clock.now()
        var transaction = Transaction()
        let advanced = transaction.add(
            MirrorStatements.advance(selection: selection, from: cursor, to: page.next, by: advanceToken, at: now)
        )
        let effects = page.events.map { add(event: $0, to: &transaction, advanceToken: advanceToken, at: now) }
        let results = try await database.run(transaction)
        // Another node was first, and its transaction had the effects.
        guard results[advanced].affected > 0 else { return }
        for (event, effect) in zip(page.events, effects) {
            switch event.change {
            case .profile: break
            // SECURITY: an erased user stays refused, whatever auth does.
            case .reactivated where results[effect].affected == 0: break
            case .reactivated: blocked.set(event.user, isBlocked: false)
            case .deactivated: blocked.set(event.user, isBlocked: true)
            case .deleted:
                blocked.set(event.user, isBlocked: true)
                logger.notice("user deleted, data is being erased", metadata: ["user_id": "\(event.user)"])
            }
        }
    }

    /// Adds what an event does to its principal.
    ///
    /// - Returns: the handle of the statement that changes the principal's row.
    private func add(
        event: UserEvent,
        to transaction: inout Transaction,
        advanceToken: String,
        at now: Instant
    ) -> Transaction.Handle {
        let user = event.user
        switch event.change {
        case .profile(let name, let avatarURL):
            return transaction.add(
                MirrorStatements.profile(
                    of: user,
                    name: name,
                    avatarURL: avatarURL,
                    at: event.at,
                    advanceToken: advanceToken
                )
            )
        case .deactivated:
            return transaction.add(MirrorStatements.deactivate(user: user, at: event.at, advanceToken: advanceToken))
        case .reactivated:
            return transaction.add(MirrorStatements.reactivate(user: user, at: event.at, advanceToken: advanceToken))
        case .deleted:
            let marked = transaction.add(MirrorStatements.markErased(user: user, at: now, advanceToken: advanceToken))
            transaction.add(beginErasure(user, now))
            return marked
        }
    }

    private func beginAnew(_ selection: FeedSelection, from cursor: String) async throws {
        logger.warning(
            "the place in auth's feed is gone, and it is read from its beginning",
            metadata: ["lane": "\(selection)"]
        )
        if selection == .profiles {
            while try await database.run(MirrorStatements.forgetInactivity(limit: Self.repair)).affected == Self.repair
            {}
        }
        let advanceToken = ids.name(bytes: 16)
        _ = try await database.run(
            MirrorStatements.advance(selection: selection, from: cursor, to: "", by: advanceToken, at: clock.now())
        )
    }
}
