// The devices on which users have signed in.
//
// States: made or renewed by each complete sign-in → ended, by age, by the user's deactivation or deletion, or by newer
// devices of the user. An ended device never revives: the next sign-in makes another one. `SignIn` calls it; a change
// of the user's state ends devices. Acquaintance opens nothing by itself: it lets a login be judged while the
// account's delay runs.
import OpenSSLCrypto
import ServiceKit
import Storage

package struct Devices: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let codec: DeviceMarkerCodec

    /// Since the last sign-in.
    static let lifetime: Duration = .seconds(180 * 86_400)
    /// Of a user; the longest unused one goes first.
    static let maxPerUser: Int64 = 20

    /// `nil` unless the text is authentic and young enough. The database is not asked.
    func read(_ text: RequestText?) -> DeviceMarker? {
        guard let text, let marker = codec.decode(text) else { return nil }
        let age = clock.now().seconds.subtractingReportingOverflow(marker.seconds)
        return !age.overflow && age.partialValue < Self.lifetime.components.seconds ? marker : nil
    }

    /// Whether the marker is this user's, and its device not ended.
    func knows(_ marker: DeviceMarker, of user: String) async throws(StorageError) -> Bool {
        guard marker.user == user else { return false }
        let found = DeviceStatements.find(device: marker.deviceKey, user: user, at: clock.now())
        return try await !database.run(found).isEmpty
    }

    /// Adds what a complete sign-in does, behind the session's row; without that row it does nothing.
    func addSignIn(
        of user: String,
        session: String,
        presenting marker: DeviceMarker?,
        at now: Instant,
        to transaction: inout Transaction
    ) -> DeviceSignIn {
        let made = random.bytes(16)
        let presented = marker.flatMap { $0.user == user ? $0.device : nil }
        let end = now + Self.lifetime
        let renewed = presented.map { device in
            transaction.add(
                DeviceStatements.renew(device: Hex.encode(device), session: session, until: end, at: now)
            )
        }
        transaction.add(
            DeviceStatements.insert(
                device: Hex.encode(made),
                session: session,
                unlessRenewed: presented.map { Hex.encode($0) },
                until: end,
                at: now
            )
        )
        transaction.add(DeviceStatements.trim(user: user, keeping: Self.maxPerUser))
        return DeviceSignIn(user: user, made: made, presented: presented, renewed: renewed)
    }

    /// The marker for a sign-in that has committed. Renewed or made, it has one form.
    func marker(of signIn: DeviceSignIn, _ results: TransactionResults, at now: Instant) -> String {
        var device = signIn.made
        if let presented = signIn.presented, let renewed = signIn.renewed, results[renewed].affected == 1 {
            device = presented
        }
        return codec.encode(DeviceMarker(device: device, user: signIn.user, seconds: now.seconds))
    }

    /// For a transaction that has deactivated the user.
    static func ending(ofInactiveUser user: String) -> BoundStatement { DeviceStatements.end(inactiveUser: user) }
}

/// Of a transaction under way.
struct DeviceSignIn: Sendable {
    fileprivate let user: String
    fileprivate let made: [UInt8]
    fileprivate let presented: [UInt8]?
    fileprivate let renewed: Transaction.Handle?
}
