/// Work that needs an engine's connection to itself, such as an interactive transaction.
package final class InteractiveWork<Connection>: QueuedWork {
    private let body: @Sendable (Connection) -> Void
    private let refusal: @Sendable (StorageError) -> Void

    /// `run` and `refuse` each answer the caller; one of them is called.
    package init(
        run: @escaping @Sendable (Connection) -> Void,
        refuse: @escaping @Sendable (StorageError) -> Void
    ) {
        body = run
        refusal = refuse
    }

    package var weight: Int { 0 }
    package var isExclusive: Bool { true }

    package func run(_ connection: Connection) { body(connection) }
    package func refuse(_ error: StorageError) { refusal(error) }
}
