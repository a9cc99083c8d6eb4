// Tokens that were verified before. A client sends the same token for minutes, and checking an ES256 signature costs a
// hundred times what it costs to find the token here.
//
// What decides is the SHA-256 digest of every byte of the token. Only tokens whose signature was right come in, so
// nobody but the issuer can fill the cache or choose where in it a token goes. It remembers that a signature was
// right and nothing else: the verifier judges time, key and revocation again at every lookup.
//
// The table is cut into shards by the digest, each behind a lock that is held for a look-up. A shard that is full gives
// up what was not used since its hand came by last (the clock algorithm), and drops what it finds expired on the way.
import OpenSSLCrypto
import Synchronization

/// A token whose signature was right.
final class VerifiedToken: Sendable {
    let claims: AccessTokenClaims
    let notBefore: Int64?
    let keyID: String
    /// The key that the signature was checked with. When the issuer's key of this id is another, or is gone, the token
    /// is not verified any more.
    let key: VerificationKey

    init(claims: AccessTokenClaims, notBefore: Int64?, keyID: String, key: VerificationKey) {
        self.claims = claims
        self.notBefore = notBefore
        self.keyID = keyID
        self.key = key
    }
}

/// A bounded table of verified tokens.
final class VerifiedTokenCache: Sendable {
    private static let shardCount = 32

    private let shards: [Shard]
    /// The claims that came in last; others share memory with them.
    private let latest = Mutex<VerifiedToken?>(nil)

    /// Makes an empty cache.
    ///
    /// - Parameter limit: the most tokens it may hold.
    init(limit: Int) {
        let shardCount = min(Self.shardCount, max(limit, 1))
        shards = (0..<shardCount).map { _ in Shard(limit: max(limit, 1) / shardCount) }
    }

    /// How many tokens there are.
    var count: Int { shards.reduce(0) { $0 + $1.table.withLock(\.count) } }

    func token(_ digest: SHA256Digest) -> VerifiedToken? {
        shard(digest).table.withLock { $0.token(digest) }
    }

    /// Keeps a token, at the cost of others if need be.
    ///
    /// - Parameters:
    ///   - token: what the token says.
    ///   - digest: of the token's text.
    ///   - now: the second from whose end on expired tokens are of no use.
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

    /// Forgets a token that is not good any more.
    func forget(_ digest: SHA256Digest) {
        shard(digest).table.withLock { $0.forget(digest) }
    }

    private func shard(_ digest: SHA256Digest) -> Shard {
        // The table inside hashes the same bits; the upper ones choose the shard.
        shards[Int(digest.prefix >> 32) % shards.count]
    }

    private final class Shard: Sendable {
        let table: Mutex<Table>

        init(limit: Int) {
            table = Mutex(Table(limit: limit))
        }
    }
}

/// One shard: places for tokens, and where each token is.
private struct Table {
    private struct Place {
        let digest: SHA256Digest
        let token: VerifiedToken
        /// Whether the token was asked for since the hand came by.
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
        // Two looks for each newcomer: the dead leave faster than the living come.
        for _ in 0..<2 { advance(now: now) }
        // At most one round: what the hand passes is unused when it comes again.
        while places.count >= limit { advance(now: now, evicting: true) }
        indices[digest] = places.count
        places.append(Place(digest: digest, token: token))
    }

    mutating func forget(_ digest: SHA256Digest) {
        if let index = indices[digest] { remove(at: index) }
    }

    /// Moves the hand by one place and empties it where its token has expired, or is not used and room is needed.
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
