// What the stored hashes cost, so that an unknown address takes the time of a known one.
//
// After a change of Argon2's parameters each hash keeps its own until its user signs in. An address that no user has is
// given one of the stored costs, as often as users have it. An HMAC of the address draws it: one address always has one
// cost. Costs are in a fixed order, so an address moves at most once while users move from one cost to another.
//
// Maintenance counts, once an hour on one node; a login reads memory alone. The seed is a row, because a key of the
// master ring is replaced and the draw must not change. Outsiders cannot read it.
import OpenSSLCrypto
import PasswordHashing
import ServiceKit
import Storage
import Synchronization

package final class PasswordCosts: Sendable {
    private struct Distribution {
        var seed: HMACSHA256Key?
        /// In the order of their texts.
        var costs: [(cost: PasswordCost, count: UInt64)] = []
        var total: UInt64 = 0
    }

    private let database: any SQLDatabase
    private let clock: Clock
    private let random: RandomSource
    private let distribution = Mutex(Distribution())

    private static let interval: Duration = .seconds(3600)
    /// Accounts of one page.
    private static let batch: Int64 = 500
    /// Different costs that are kept; an installation has two or three.
    private static let maxCosts = 64

    init(database: any SQLDatabase, clock: Clock, random: RandomSource) {
        self.database = database
        self.clock = clock
        self.random = random
    }

    /// The cost for an address that no user has; `nil` before any was counted.
    func cost(of account: String) -> PasswordCost? {
        distribution.withLock { known in
            guard let seed = known.seed, known.total > 0 else { return nil }
            let code = seed.authenticationCode(for: Array(account.utf8))
            let number = code.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            var left = number.multipliedFullWidth(by: known.total).high
            for (cost, count) in known.costs {
                if left < count { return cost }
                left -= count
            }
            return known.costs.last?.cost
        }
    }

    /// Reads what was counted last.
    package func load() async throws {
        _ = try await read()
    }

    /// Counts if that is due and no other node does it, and reads the result.
    package func maintain(while mayGoOn: @Sendable () -> Bool = { true }) async throws {
        let now = clock.now()
        let countedAt = try await read()
        if let countedAt, countedAt + Self.interval > now { return }
        let claim = PasswordCostStatements.claim(since: countedAt, at: now)
        guard try await database.run(claim).affected == 1 else { return }
        guard let counts = try await count(while: mayGoOn) else { return }
        _ = try await database.run(PasswordCostStatements.save(text: Self.text(counts)))
        _ = try await read()
    }

    /// - Returns: when the costs were counted.
    private func read() async throws -> Instant? {
        var transaction = Transaction()
        transaction.add(PasswordCostStatements.makeSeed(text: Base64.encode(random.bytes(32)), at: clock.now()))
        let seed = transaction.add(PasswordCostStatements.seed())
        let costs = transaction.add(PasswordCostStatements.costs())
        let results = try await database.run(transaction)
        let bytes = try results[seed].first?.optionalText("text_value").flatMap { Base64.decode($0) }
        let counted = Self.costs(try results[costs].first?.optionalText("text_value") ?? "")
        distribution.withLock { known in
            known.seed = bytes.map { HMACSHA256Key($0) }
            known.costs = counted
            known.total = counted.reduce(0) { $0 + $1.count }
        }
        return try results[costs].first?.optionalInstant("updated_at")
    }

    /// `nil` if it may not go on.
    private func count(while mayGoOn: @Sendable () -> Bool) async throws -> [PasswordCost: UInt64]? {
        var counts: [PasswordCost: UInt64] = [:]
        var after = ""
        while mayGoOn() {
            var transaction = Transaction()
            let page = transaction.add(PasswordCostStatements.page(after: after, limit: Self.batch))
            let rows = try await database.run(transaction, priority: .long)[page].rows
            for row in rows {
                after = try row.text("id")
                guard let hash = try row.optionalText("password_hash"), let cost = try? PasswordCost(of: hash),
                    counts[cost] != nil || counts.count < Self.maxCosts
                else { continue }
                counts[cost, default: 0] += 1
            }
            if rows.count < Int(Self.batch) { return counts }
        }
        return nil
    }

    // MARK: The row: a line for each cost

    private static func text(_ counts: [PasswordCost: UInt64]) -> String {
        counts.map { "\($0.key.text) \($0.value)" }.sorted().joined(separator: "\n")
    }

    private static func costs(_ text: String) -> [(cost: PasswordCost, count: UInt64)] {
        text.split(separator: "\n").compactMap { line in
            let parts = line.split(separator: " ")
            // An implausible number must not overflow the sum.
            guard parts.count == 2, let cost = try? PasswordCost(of: String(parts[0])), let count = UInt32(parts[1])
            else { return nil }
            return (cost, UInt64(count))
        }
    }
}
