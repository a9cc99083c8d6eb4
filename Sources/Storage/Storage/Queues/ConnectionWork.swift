// What waits in an engine's queue for a connection.

/// A transaction, or an interactive one with its two callbacks.
package enum ConnectionWork<Connection>: QueuedWork {
    case transaction(PendingTransaction)
    case interactive(
        run: @Sendable (Connection) -> Void,
        refuse: @Sendable (StorageError) -> Void
    )

    package var weight: Int {
        switch self {
        case .transaction(let transaction): transaction.weight
        case .interactive: 0
        }
    }

    package var isExclusive: Bool {
        switch self {
        case .transaction: false
        case .interactive: true
        }
    }

    package func refuse(_ error: StorageError) {
        switch self {
        case .transaction(let transaction): transaction.finish(.failure(error))
        case .interactive(_, let refuse): refuse(error)
        }
    }
}
