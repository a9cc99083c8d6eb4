/// An ordered list of bound statements that commit together, or none of them.
///
/// Every parameter is known before the transaction starts, so an engine can send the transactions of many callers in
/// one flush and one commit. There is no branch inside: a statement that depends on an earlier one tests what that one
/// left behind.
///
/// ```swift
/// var transaction = Transaction()
/// let renamed = transaction.add(TagStatements.rename(id: id, to: name))
/// let results = try await database.run(transaction)
/// return try results[renamed].first.map(Tag.init)
/// ```
package struct Transaction: Sendable {
    /// Names the result of one statement of a transaction.
    package struct Handle: Sendable, Hashable {
        fileprivate let index: Int
    }

    package private(set) var statements: [BoundStatement] = []
    /// The principal whose row is locked first, and whom the writes concern. Decorators that notify readers use it; an
    /// engine does not.
    package let subject: String?

    package init(subject: String? = nil) {
        self.subject = subject
        // Room for what most transactions hold, in one allocation.
        statements.reserveCapacity(4)
    }

    package init(_ statements: [BoundStatement], subject: String? = nil) {
        self.statements = statements
        self.subject = subject
    }

    /// Appends a statement, and returns the handle of its result.
    @discardableResult
    package mutating func add(_ statement: BoundStatement) -> Handle {
        statements.append(statement)
        return Handle(index: statements.count - 1)
    }

    /// Appends statements, and returns a handle for each.
    @discardableResult
    package mutating func add(contentsOf others: some Sequence<BoundStatement>) -> [Handle] {
        others.map { add($0) }
    }

    package var isEmpty: Bool { statements.isEmpty }

    /// Whether every statement only reads, so that the transaction may run beside the writers.
    package var onlyReads: Bool { statements.onlyReads }
}

/// The results of a transaction's statements, after the commit is durable.
package struct TransactionResults: Sendable {
    /// In the order of the statements.
    package let all: [SQLResult]

    package init(_ all: [SQLResult]) {
        self.all = all
    }

    /// What all rows take in memory.
    package var byteCount: Int { all.reduce(0) { $0 + $1.byteCount } }

    package subscript(handle: Transaction.Handle) -> SQLResult { all[handle.index] }
}
