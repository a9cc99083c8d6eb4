// The features of a node, from the bottom up: each receives those below it.
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage

struct ChatFeatures: Sendable {
    /// A damaged index must not refuse a write. Writes of leases and of an index's words wake no stream.
    let quietDatabase: any SQLDatabase
    /// The same, but each write wakes this node's streams at once.
    let database: any SQLDatabase
    let ids: IDGenerator
    let blocked: BlockedPrincipals
    let usage: Usage
    let reservations: Reservations
    let conversations: Conversations
    let messages: Messages
    let trash: Trash
    let forks: Forks
    let tags: Tags
    let votes: Votes
    let search: Search
    let searchCommands: SearchCommands
    let changes: Changes
    let changeFeed: ChangeFeed
    let streamTickets: StreamTickets
    let erasures: Erasures
    let cleanup: CleanupRunner
    private let clock: Clock
    /// This node, in leases.
    private let node: String

    init(
        database base: any SQLDatabase,
        configuration: ChatConfiguration,
        clock: Clock,
        random: RandomSource,
        logger: Logger
    ) {
        let quiet = SearchFaultGuard(base: base, logger: logger)
        changes = Changes(database: quiet, clock: clock)
        changeFeed = ChangeFeed(changes: changes, limits: configuration.changeFeed, logger: logger)
        let database = SharedDatabase(ChangeNotifyingDatabase(quiet, feed: changeFeed))
        let quotas = configuration.quotas
        ids = IDGenerator(random)
        blocked = BlockedPrincipals()
        usage = Usage(database: database, clock: clock, quotas: quotas)
        reservations = Reservations(database: database, clock: clock, ids: ids, quotas: quotas)
        conversations = Conversations(database: database, clock: clock, ids: ids, quotas: quotas)
        messages = Messages(database: database, clock: clock, ids: ids, quotas: quotas)
        trash = Trash(
            database: database,
            clock: clock,
            conversations: conversations,
            retention: configuration.trashRetention
        )
        forks = Forks(
            database: database,
            clock: clock,
            ids: ids,
            conversations: conversations,
            trash: trash
        )
        tags = Tags(database: database, clock: clock, ids: ids, conversations: conversations)
        votes = Votes(database: database, clock: clock)
        streamTickets = StreamTickets(database: quiet, clock: clock, random: random)
        search = Search(database: database, clock: clock)
        searchCommands = SearchCommands(database: database, clock: clock, ids: ids)
        erasures = Erasures(
            database: database,
            steps: ChatService.erasure,
            blocked: blocked,
            clock: clock,
            ids: ids,
            logger: logger
        )
        node = ids.name()
        cleanup = CleanupRunner(
            database: database,
            clock: clock,
            steps: ChatService.cleanupSteps(trash: trash, changeRetention: configuration.changeRetention),
            lease: JobLease("cleanup", holder: node, database: quiet, clock: clock),
            lastRunLabel: "tessera_chat_cleanup_last_run_seconds"
        )
        quietDatabase = quiet
        self.database = database
        self.clock = clock
    }

    func lease(_ job: String) -> JobLease { JobLease(job, holder: node, database: quietDatabase, clock: clock) }
}
