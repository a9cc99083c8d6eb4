// What admins may know of people's data: counts and instants, never content.
import ServiceKit
import Storage

struct AdminData: Sendable {
    let database: any SQLDatabase

    /// Over all people.
    struct Statistics: Sendable {
        let principals: Row
        let conversations: Row
        let erasures: Row
        let feed: Row
    }

    /// Of one person. `erasure` is `nil` for a person whose data was never erased.
    struct Summary: Sendable {
        let row: Row
        let erasure: ErasureReceipt?
    }

    func statistics() async throws -> Statistics {
        typealias Totals = AdminDataStatements.Totals
        var transaction = Transaction()
        let ofPrincipals = transaction.add(Totals.ofPrincipals)
        let ofConversations = transaction.add(Totals.ofConversations)
        let ofErasures = transaction.add(Totals.ofErasures)
        let ofFeed = transaction.add(Totals.ofFeed)
        let results = try await database.run(transaction, priority: .long)
        guard let principals = results[ofPrincipals].first, let conversations = results[ofConversations].first,
            let erasures = results[ofErasures].first, let feed = results[ofFeed].first
        else { throw APIError(.internalError) }
        return Statistics(principals: principals, conversations: conversations, erasures: erasures, feed: feed)
    }

    /// Throws `not_found`.
    func summary(of id: String) async throws -> Summary {
        var transaction = Transaction()
        let summary = transaction.add(AdminDataStatements.summary(of: id))
        let erasure = transaction.add(Erasures.read(receiptOf: id))
        let results = try await database.run(transaction)
        guard let row = results[summary].first else { throw APIError(.notFound) }
        return Summary(row: row, erasure: try ErasureReceipt(results[erasure].rows))
    }
}
