// Transactions of the service that a test runs alone, as a process that is killed after one.
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage

@testable import ChatService

enum ForkPieces {
    static func begin(_ id: String, _ owner: String, _ source: String, _ now: Instant) -> [BoundStatement] {
        [ForkStatements.begin(fork: id, of: source, owner: owner, title: nil, tip: nil, at: now)]
    }

    static func copy(
        _ id: String,
        _ owner: String,
        _ source: String,
        from message: String,
        number: Int64,
        steps: Int64 = 500
    ) -> [BoundStatement] {
        [
            ForkStatements.copy(
                to: id,
                from: source,
                owner: owner,
                message: message,
                number: number,
                steps: steps
            )
        ]
    }
}

extension Chat {
    func cleanup(
        _ clock: Clock,
        retention: Duration = .seconds(30 * 86_400),
        changeRetention: Duration = .seconds(36_500 * 86_400)
    ) -> CleanupRunner {
        let conversations = Conversations(database: database, clock: clock, ids: IDGenerator(.system), quotas: Quotas())
        let trash = Trash(database: database, clock: clock, conversations: conversations, retention: retention)
        return CleanupRunner(
            database: database,
            clock: clock,
            steps: ChatService.cleanupSteps(trash: trash, changeRetention: changeRetention),
            lease: JobLease(
                "cleanup",
                holder: Hex.encode(RandomSource.system.bytes(8)),
                database: database,
                clock: clock
            ),
            lastRunLabel: "tessera_chat_cleanup_last_run_seconds"
        )
    }
}

extension Importer {
    /// An import of all that a service exports.
    init(for owner: String, heads: [String: String?] = [:], database: any SQLDatabase) {
        self.init(for: owner, flat: ChatService.export, heads: heads, database: database, clock: .system)
    }
}

extension IdempotentAttempt {
    init(testKey key: String, route: String, body: String) {
        self.init(
            key: key,
            route: route,
            requestHash: Hex.encode(SHA256.digest(Array(body.utf8))),
            identity: AttemptIdentity(seed: Hex.encode(RandomSource.system.bytes(16)), at: Clock.system.now())
        )
    }
}
