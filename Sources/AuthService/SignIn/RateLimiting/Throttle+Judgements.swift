// Logins that are judged while an account's delay runs, so that a slow guesser does not lock the owner out.
//
// - From a device on which the user has signed in: ten an hour for each device.
// - From a network without a failure in 24 hours: twenty an hour and a hundred a day for each account, over all
//   networks. NIST SP 800-63B §3.2.2 allows a hundred.
//
// Both are counted before they are judged, in one transaction, so that the caps hold for logins sent at once. A network
// is marked as failed before, too, and the mark is taken back after a success: one network has one judgement at a time.
import ServiceKit
import Storage

extension Throttle {
    private static let hour: Duration = .seconds(3600)
    private static let day: Duration = .seconds(86_400)
    private static let maxPerDevice: Int64 = 10
    private static let maxPerHour: Int64 = 20
    private static let maxPerDay: Int64 = 100

    /// Counts a login from a device that the user knows; `nil` above its cap.
    func attempt(onDevice device: String) async throws(StorageError) -> Attempt? {
        let now = clock.now()
        let key = "login:device:\(device)"
        let counted = ThrottleStatements.countBelow(limit: Self.maxPerDevice, key: key, until: now + Self.hour, at: now)
        return try await database.run(counted).isEmpty ? nil : .onDevice(key: key)
    }

    /// Counts a login from a network without a failure; `nil` from another, and above the account's caps.
    ///
    /// SECURITY: counts alike for an address that no user has.
    func attempt(on account: String, from clientInfo: ClientInfo) async throws(StorageError) -> Attempt? {
        // One that is unknown may be any.
        guard clientInfo.address.text != nil else { return nil }
        let now = clock.now()
        let key = Self.key(account, .login)
        let judgement = NetworkJudgement(
            hour: NetworkJudgement.Cap(key: "\(key):hour", limit: Self.maxPerHour, end: now + Self.hour),
            day: NetworkJudgement.Cap(key: "\(key):day", limit: Self.maxPerDay, end: now + Self.day),
            network: Self.failureKey(clientInfo),
            end: now + Self.day
        )
        let (transaction, claimed) = judgement.claim(at: now)
        return try await database.run(transaction)[claimed].isEmpty ? nil : .fromNetwork(judgement)
    }

    /// Marks the network of a failed login, for the transaction that records the failure.
    func failure(from clientInfo: ClientInfo, at now: Instant) -> BoundStatement? {
        guard isOn, clientInfo.address.text != nil else { return nil }
        return NetworkFailureStatements.mark(network: Self.failureKey(clientInfo), until: now + Self.day)
    }

    private static func failureKey(_ clientInfo: ClientInfo) -> String {
        "login:failed_net:\(clientInfo.address.network)"
    }
}

/// A judgement of a login from a network without a failure.
struct NetworkJudgement: Sendable {
    struct Cap: Sendable {
        let key: String
        let limit: Int64
        /// Of a window that begins now.
        let end: Instant
    }

    let hour: Cap
    let day: Cap
    let network: String
    /// Of the network's mark.
    let end: Instant

    /// The handle's statement returns a row if the login may be judged. Locks are taken in this order everywhere.
    func claim(at now: Instant) -> (transaction: Transaction, claimed: Transaction.Handle) {
        var transaction = Transaction()
        for cap in [hour, day] { transaction.add(ThrottleStatements.take(key: cap.key, until: cap.end)) }
        let claimed = transaction.add(NetworkFailureStatements.claim(judgement: self, at: now))
        for cap in [hour, day] { transaction.add(NetworkFailureStatements.count(cap: cap, judgement: self, at: now)) }
        transaction.add(NetworkFailureStatements.seal(network: network))
        return (transaction, claimed)
    }

    /// Takes the network's mark back.
    var absolution: BoundStatement { NetworkFailureStatements.absolve(network: network, end: end) }

    /// As if the login had not been sent.
    func withdrawal(at now: Instant) -> Transaction {
        var transaction = Transaction()
        for cap in [hour, day] {
            transaction.add(ThrottleStatements.discount(key: cap.key, blocking: nil, at: now))
        }
        transaction.add(absolution)
        return transaction
    }
}
