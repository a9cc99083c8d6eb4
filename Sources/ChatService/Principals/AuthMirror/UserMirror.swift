// Chat's side of auth's event feed: what happens to a user there takes effect on the principal here, exactly once.
//
// The place in the feed is a row of chat's own database and moves in the unit that has the effect, on condition that it
// still stands where the page began; the effects require that this very unit moved it. So a page takes effect as a whole
// or not at all, and two nodes, a crash between two statements or a page that comes twice change nothing about that.
//
// Two ways through the feed, because auth promises more for one of them. `user.deleted` alone is followed from the very
// beginning of the log and never has a hole, however long either side was away. The other kinds are kept by auth for a
// while only; a place among them may be gone (410). Then:
//   - the flags of deactivation are let go, because a missed reactivation would lock somebody out for ever, while a
//     missed deactivation lets nobody in: auth has revoked those tokens, all of which have expired since;
//   - names and pictures are right again with the next change of each; what changed meanwhile is not known here;
//   - and the feed is read from the oldest event that auth still has.
// After a restore of auth its log is another (410 for both): deletions are read from the beginning, which erases nobody
// twice. A user whose deletion the restore undid stays erased here, for the rows are gone.
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifierHummingbird

/// One of the two ways through the feed.
enum FeedLane: String, Sendable, CaseIterable {
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
    let erasures: Erasures
    let refused: RefusedPrincipals
    let clock: Clock
    let random: RandomSource
    let logger: Logger

    /// Events in one unit.
    static let batch = 100
    /// Rows in one unit of letting flags go.
    private static let repair: Int64 = 500

    /// Takes the next page of a lane.
    ///
    /// - Returns: whether to go on at once.
    func follow(_ lane: FeedLane) async throws -> Bool {
        let row = try await database.run(MirrorStatements.place(lane.rawValue)).first
        guard let place = try row?.text("cursor") else { throw StorageError.invalidRow(column: "cursor") }
        let page: UserEventPage
        do {
            page = try await source.page(after: place.isEmpty ? nil : place, kinds: lane.kinds, limit: Self.batch)
        } catch EventPages.Failure.cursorGone {
            try await beginAnew(lane, from: place)
            return true
        }
        guard page.next != place else { return false }
        try await apply(page, lane, from: place)
        return page.hasMore
    }

    private func apply(_ page: UserEventPage, _ lane: FeedLane, from place: String) async throws {
        let mover = Hex.encode(random.bytes(16))
        let now = clock.now()
        var unit = [MirrorStatements.move(lane.rawValue, place, page.next, mover, now)]
        var first: [Int] = []
        for event in page.events {
            first.append(unit.count)
            unit += effect(event, mover: mover, at: now)
        }
        let results = try await database.run(unit)
        // Another node was there first, and its unit had the effects.
        guard results[0].affected > 0 else { return }
        for (event, index) in zip(page.events, first) {
            switch event.change {
            case .profile: break
            // SECURITY: none of somebody who was erased here, who stays refused whatever auth makes of them.
            case .reactivated where results[index].affected == 0: break
            case .reactivated: refused.set(event.user, isRefused: false)
            case .deactivated: refused.set(event.user, isRefused: true)
            case .deleted:
                refused.set(event.user, isRefused: true)
                logger.notice("user deleted, data is being erased", metadata: ["user_id": "\(event.user)"])
            }
        }
    }

    private func effect(_ event: UserEvent, mover: String, at now: Instant) -> [BoundStatement] {
        switch event.change {
        case .profile(let name, let avatarURL):
            [
                MirrorStatements.profile(
                    event.user,
                    name.isPresent,
                    name.value,
                    avatarURL.isPresent,
                    avatarURL.value,
                    event.at,
                    mover
                )
            ]
        case .deactivated: [MirrorStatements.activity(event.user, false, event.at, event.at, mover)]
        case .reactivated: [MirrorStatements.activity(event.user, true, Instant?.none, event.at, mover)]
        case .deleted:
            [MirrorStatements.entomb(event.user, now, mover)]
                + [erasures.begin(event.user, .userDeleted, by: nil, at: now)]
        }
    }

    private func beginAnew(_ lane: FeedLane, from place: String) async throws {
        logger.warning(
            "the place in auth's feed is gone, and it is read from its beginning",
            metadata: ["lane": "\(lane)"]
        )
        if lane == .profiles {
            while try await database.run(MirrorStatements.forgetInactivity(Self.repair)).affected == Int(Self.repair) {}
        }
        let mover = Hex.encode(random.bytes(16))
        _ = try await database.run(MirrorStatements.move(lane.rawValue, place, "", mover, clock.now()))
    }
}
