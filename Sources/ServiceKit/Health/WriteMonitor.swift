// Whether the database accepts writes, for `/readyz`.
//
// The service's own writes show it: a probe costs nothing until one is refused. Then each probe inserts and deletes a
// row that needs room, until that succeeds. A smaller write proves nothing: PostgreSQL may find room for it in a page,
// and SQLite does not touch the disk for one that changes no row.
package import OpenSSLCrypto
package import Storage
internal import Synchronization

package final class WriteMonitor: DatabaseDecorator {
    package let base: any SQLDatabase
    private let failure = Mutex<StorageError?>(nil)
    private let probe: @Sendable () -> Transaction

    /// `probe` must change one row of the service at each call.
    package init(_ base: any SQLDatabase, probe: @escaping @Sendable () -> Transaction) {
        self.base = base
        self.probe = probe
    }

    package func run(
        _ transaction: Transaction,
        priority: TransactionPriority
    ) async throws(StorageError) -> TransactionResults {
        guard !transaction.onlyReads else { return try await base.run(transaction, priority: priority) }
        do throws(StorageError) {
            return try await base.run(transaction, priority: priority)
        } catch {
            if error.concernsEveryWrite { failure.withLock { $0 = error } }
            throw error
        }
    }

    /// Throws the storage's error if the last write failed and another one fails now.
    package func requireWritable() async throws(StorageError) {
        guard failure.withLock({ $0 }) != nil else { return }
        _ = try await base.run(probe(), priority: .normal)
        failure.withLock { $0 = nil }
    }
}

/// What a probe writes.
package enum WriteProbe {
    /// A text of 64 KiB that does not compress: PostgreSQL needs eight pages for it, whatever room its others have.
    package static func filling(_ random: RandomSource = .system) -> String { Base64.encode(random.bytes(48 * 1024)) }
}

extension StorageError {
    /// Whether the next write would probably fail too. A full queue or a lock is load, and a loaded node should still
    /// get requests.
    fileprivate var concernsEveryWrite: Bool {
        switch self {
        case .unavailable, .damaged, .outcomeUnknown: true
        case .uniqueViolation, .foreignKeyViolation, .notNullViolation, .checkViolation, .invalidBinding, .invalidRow,
            .statementFailed, .conflict, .timedOut, .overloaded, .memoryExhausted, .cancelled, .schema:
            false
        }
    }
}
