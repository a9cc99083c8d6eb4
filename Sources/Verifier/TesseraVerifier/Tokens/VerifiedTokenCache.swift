// A cache of verified tokens. A client sends the same token for minutes, and an ES256 verification costs a hundred
// times a look-up.
//
// The key is the SHA-256 digest of the whole token. Only tokens with a valid signature come in, so only the issuer can
// fill the cache or choose where a token goes. The cache records valid signatures alone: the verifier checks time, key
// and revocation at every use.
//
// The table has shards, each behind a lock that is held for a look-up. A full shard evicts tokens that were not used
// since its hand last passed (the clock algorithm), and drops expired ones on the way.
import OpenSSLCrypto
import Synchronization

/// A token with a valid signature.
final class VerifiedToken: Sendable {
    let claims: AccessTokenClaims
    let notBefore: Int64?
    let keyID: String
    /// The key of the signature. If the issuer's key of this id is another one or gone, the token is no longer
    /// verified.
    let key: VerificationKey

    init(claims: AccessTokenClaims, notBefore: Int64?, keyID: String, key: VerificationKey) {
        self.claims = claims
        self.notBefore = notBefore
        self.keyID = keyID
        self.key = key
    }
}

final class VerifiedTokenCache: Sendable {
    private static let shardCount = 32

    private let shards: [Shard]
    /// The last claims added, whose memory others share.
    private let latest = Mutex<VerifiedToken?>(nil)

    /// Makes an empty cache.
    ///
    /// - Parameter limit: the maximum number of tokens.
    init(limit: Int) {
        let shardCount = min(Self.shardCount, max(limit, 1))
        shards = (0..<shardCount).map { _ in Shard(limit: max(limit, 1) / shardCount) }
    }

    var count: Int { shards.reduce(0) { $0 + $1.table.withLock(\.count) } }

    func token(_ digest: SHA256Digest) -> VerifiedToken? {
        shard(digest).table.withLock { $0.token(digest) }
    }

    /// Adds a token, and evicts others if necessary.
    ///
    /// - Parameters:
    ///   - token: the verified token.
    ///   - digest: of the token's text.
    ///   - now: in seconds since 1970; expired tokens are evicted first.
    func keep(_ token: VerifiedToken, for digest: SHA256Digest, now: Int64) {
        let previous = latest.withLock { $0 }
        let kept = VerifiedToken(
            claims: previous.map { token.claims.sharing(with: $0.claims) } ?? token.claims,
            notBefore: token.notBefore,
            keyID: previous?.keyID == token.keyID ? previous?.keyID ?? token.keyID : token.keyID,
            key: token.key
        )
        latest.withLock { $0 = kept }
        shard(digest).table.withLock { $0.keep(kept, for: digest, now: now) }
    }

    func forget(_ digest: SHA256Digest) {
        shard(digest).table.withLock { $0.forget(digest) }
    }

    private func shard(_ digest: SHA256Digest) -> Shard {
        // The table hashes the same bits inside; the upper ones choose the shard.
        shards[Int(digest.prefix >> 32) % shards.count]
    }

    private final class Shard: Sendable {
        let table: Mutex<Table>

        init(limit: Int) {
            table = Mutex(Table(limit: limit))
        }
    }
}

private struct Table {
    private struct Place {
        let digest: SHA256Digest
        let token: VerifiedToken
        /// Whether the token was used since the hand passed.
        var isUsed = false
    }

    let limit: Int
    private var places: [Place] = []
    private var indices: [SHA256Digest: Int] = [:]
    private var hand = 0

    init(limit: Int) {
        self.limit = limit
    }

    var count: Int { places.count }

    mutating func token(_ digest: SHA256Digest) -> VerifiedToken? {
        guard let index = indices[digest] else { return nil }
        places[index].isUsed = true
        return places[index].token
    }

    mutating func keep(_ token: VerifiedToken, for digest: SHA256Digest, now: Int64) {
        if let index = indices[digest] {
            places[index] = Place(digest: digest, token: token, isUsed: places[index].isUsed)
            return
        }
        // Two steps for each new token: expired tokens leave faster than new ones come.
        for _ in 0..<2 { advance(now: now) }
        // At most one round: a token that the hand passes is unused when it returns.
        while places.count >= limit { advance(now: now, evicting: true) }
        indices[digest] = places.count
        places.append(Place(digest: digest, token: token))
    }

    mutating func forget(_ digest: SHA256Digest) {
        if let index = indices[digest] { remove(at: index) }
    }

    /// Moves the hand one place. It removes the token there if it has expired, or if it is unused and room is needed.
    private mutating func advance(now: Int64, evicting: Bool = false) {
        guard !places.isEmpty else { return }
        if hand >= places.count { hand = 0 }
        if places[hand].token.claims.expiresAt <= now || (evicting && !places[hand].isUsed) {
            remove(at: hand)
        } else {
            if evicting { places[hand].isUsed = false }
            hand += 1
        }
    }

    /// Fills the gap with the last place.
    private mutating func remove(at index: Int) {
        indices[places[index].digest] = nil
        let last = places.removeLast()
        guard index < places.count else { return }
        places[index] = last
        indices[last.digest] = index
    }
}
