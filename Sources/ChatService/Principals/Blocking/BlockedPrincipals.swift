// Recently deactivated or erased principals, so that every route refuses their remaining tokens, also for reads.
//
// There are three independent barriers. Tokens: auth revokes those of a deactivated or deleted user, and each verifier
// refuses them within a fraction of a second. SQL: every write requires `Principals.mayWrite`, so nothing returns
// whatever a process believes. And this one, for reads: no node shows rows that an erasure has not removed yet, even if
// chat does not follow auth.
//
// It is a set in memory, so that a read stays one transaction. The node that applies an effect updates it at once, the
// others within a second. It covers the lifetime of a token: later a deactivated user has no token, and an erased one
// no row.
import Hummingbird
import Logging
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization

final class BlockedPrincipals: Sendable {
    /// Longer than any token lives.
    static let window: Duration = .seconds(3600)
    /// This node's own changes may be newer than its last read.
    private static let overlap: Duration = .seconds(5)

    private struct State {
        var known: Set<String> = []
        var own: [String: (isBlocked: Bool, at: ContinuousClock.Instant)] = [:]
    }

    private let state = Mutex(State())

    func contains(_ principal: String) -> Bool {
        state.withLock { $0.known.contains(principal) }
    }

    /// A change that this node has just committed.
    func set(_ principal: String, isBlocked: Bool) {
        state.withLock { state in
            state.own[principal] = (isBlocked, .now)
            if isBlocked { state.known.insert(principal) } else { state.known.remove(principal) }
        }
    }

    func replace(with principals: Set<String>) {
        state.withLock { state in
            let recent = ContinuousClock.now - Self.overlap
            state.own = state.own.filter { $0.value.at > recent }
            state.known = principals
            for (principal, change) in state.own {
                if change.isBlocked { state.known.insert(principal) } else { state.known.remove(principal) }
            }
        }
    }
}

/// Answers `user_inactive`. Mounted once, before all routes of a person's own data.
struct BlockedPrincipalsMiddleware: RouterMiddleware {
    let blocked: BlockedPrincipals

    func handle(
        _ request: Request,
        context: ChatRequestContext,
        next: @concurrent (Request, ChatRequestContext) async throws -> Response
    ) async throws -> Response {
        guard !blocked.contains(try context.caller.id) else { throw APIError(.userInactive) }
        return try await next(request, context)
    }
}

struct BlockedPrincipalsWatch: Service {
    let blocked: BlockedPrincipals
    let database: any SQLDatabase
    let clock: Clock
    let logger: Logger
    var interval: Duration = .seconds(1)

    func run() async throws {
        // At once: before the first request, if the database answers.
        await PeriodicJob(
            every: interval,
            failure: "the refused principals cannot be read",
            level: .debug,
            logger: logger
        ).run(startsAtOnce: true, refresh)
    }

    func refresh() async throws {
        let rows = try await database.run(
            PrincipalStatements.blocked(since: clock.now() - BlockedPrincipals.window)
        )
        blocked.replace(with: Set(try rows.rows.map { row throws(StorageError) in try row.text("id") }))
    }
}
