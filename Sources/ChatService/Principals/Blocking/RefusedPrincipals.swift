// Who was deactivated or erased a moment ago, so that a token that is still alive is refused at every route, reads too.
//
// Three walls, each by itself. Tokens: auth revokes those of a user whom it deactivates or deletes, and the verifier of
// each process refuses them within a fraction of a second. SQL: every write requires `Principals.mayWrite`, so
// nothing is brought back whatever a process believes. And this one, for reads: what an erase has not deleted yet is
// seen by nobody, on whichever node, whether or not chat follows auth at all.
//
// It is a set in memory, so that a read still costs one unit. The node that applies an effect knows at once, the others
// within a second. It needs to know only of the time that a token can live: later there is no token of a deactivated
// user, and no row of an erased one.
import Hummingbird
import Logging
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization

/// The principals whose tokens are refused now.
final class RefusedPrincipals: Sendable {
    /// Longer than any token lives.
    static let window: Duration = .seconds(3600)
    /// What this node has done itself may be newer than what it has just read.
    private static let overlap: Duration = .seconds(5)

    private struct State {
        var known: Set<String> = []
        var own: [String: (isRefused: Bool, at: ContinuousClock.Instant)] = [:]
    }

    private let state = Mutex(State())

    func contains(_ principal: String) -> Bool {
        state.withLock { $0.known.contains(principal) }
    }

    /// Takes what this node has just committed.
    func set(_ principal: String, isRefused: Bool) {
        state.withLock { state in
            state.own[principal] = (isRefused, .now)
            if isRefused { state.known.insert(principal) } else { state.known.remove(principal) }
        }
    }

    /// Takes what the table says.
    func replace(with principals: Set<String>) {
        state.withLock { state in
            let recent = ContinuousClock.now - Self.overlap
            state.own = state.own.filter { $0.value.at > recent }
            state.known = principals
            for (principal, change) in state.own {
                if change.isRefused { state.known.insert(principal) } else { state.known.remove(principal) }
            }
        }
    }
}

/// Refuses the tokens of refused principals with `user_inactive`. Mounted once, before everything of a person's own.
struct RefusedPrincipalsMiddleware: RouterMiddleware {
    let refused: RefusedPrincipals

    func handle(
        _ request: Request,
        context: ChatRequestContext,
        next: @concurrent (Request, ChatRequestContext) async throws -> Response
    ) async throws -> Response {
        guard !refused.contains(try context.caller.id) else { throw APIError(.userInactive) }
        return try await next(request, context)
    }
}

/// Keeps the set current with what other nodes do.
struct RefusedPrincipalsWatch: Service {
    let refused: RefusedPrincipals
    let database: any SQLDatabase
    let clock: Clock
    let logger: Logger
    var interval: Duration = .seconds(1)

    func run() async throws {
        // Before the first request is served where the database answers.
        await look()
        for await _ in PeriodicTicks(every: interval).cancelOnGracefulShutdown() { await look() }
    }

    func look() async {
        do {
            let rows = try await database.run(
                PrincipalStatements.refused(since: clock.now() - RefusedPrincipals.window)
            )
            refused.replace(with: Set(try rows.rows.map { row throws(StorageError) in try row.text("id") }))
        } catch {
            logger.debug("the refused principals cannot be read", metadata: ["error": "\(error)"])
        }
    }
}
