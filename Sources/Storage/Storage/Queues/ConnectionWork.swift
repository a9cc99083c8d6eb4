// What waits in an engine's line for one of its connections.

/// A unit, or an interactive transaction with what it needs of the connection it gets.
package enum ConnectionWork<Connection>: QueuedWork {
    case unit(PendingUnit)
    case transaction(
        run: @Sendable (Connection) -> Void,
        refuse: @Sendable (StorageError) -> Void
    )

    package var weight: Int {
        switch self {
        case .unit(let unit): unit.weight
        case .transaction: 0
        }
    }

    package var travelsAlone: Bool {
        switch self {
        case .unit: false
        case .transaction: true
        }
    }

    package func refuse(_ error: StorageError) {
        switch self {
        case .unit(let unit): unit.finish(.failure(error))
        case .transaction(_, let refuse): refuse(error)
        }
    }
}
