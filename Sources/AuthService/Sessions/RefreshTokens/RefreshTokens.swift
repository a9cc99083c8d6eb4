// Rotation: the one place where a refresh token becomes the next.
//
// A token that is not authentic is refused without a look at its row. An authentic one is judged by its row *after* a
// conditional rotation, in one transaction:
//
// - It was rotated: the answer is the successor.
// - The row is one ahead and within the grace period: the answer is the same successor, computed again. So parallel
//   tabs, retries and lost answers log no user out, and 64 parallel refreshes yield one value.
// - The row is one ahead, and the request has the retry key that the rotation had: the same successor, for a day. So an
//   answer that was lost in a lift costs no session. Once the successor has been used, the key is worth nothing.
// - The row is further ahead, or the grace period is over: theft. The session ends, in another transaction that begins
//   with the user's row. RFC 9700 §4.14.2 requires rotation with reuse detection; the grace period makes it practical.
import OpenSSLCrypto
package import ServiceKit
import Storage

/// The answer of a login or refresh.
package struct TokenResponse: Sendable {
    package let state: SessionState
    package let accessToken: AccessToken
    /// `nil` if a cookie carries the session.
    package let refreshToken: String?
    /// For a login's answer.
    let user: User?
    /// The marker of the device, for a login's answer.
    var deviceToken: String?

    package func json() -> JSONWriter {
        JSONWriter.object { writer in
            if let user {
                writer.key(of: "user") { user.write(to: &$0) }
            }
            writer.key(of: "session") { state.session.write(to: &$0, current: true) }
            writer.field("access_token", accessToken.token)
            writer.field("token_type", "Bearer")
            writer.field("expires_in", accessToken.expiresIn)
            if let refreshToken { writer.field("refresh_token", refreshToken) }
            if let deviceToken { writer.field("device_token", deviceToken) }
        }
    }
}

package struct RefreshTokens: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let codec: RefreshTokenCodec
    let ring: RingRegistry
    let accessTokens: AccessTokens
    let sessions: Sessions
    let grace: Duration
    /// How long the retry key of a rotation yields its successor.
    static let retryPeriod: Duration = .seconds(86_400)

    func opening(session: String, at now: Instant) -> (statement: BoundStatement, token: RefreshToken) {
        let token = codec.first(random: random)
        let client = AuthConfiguration.firstPartyClient
        return (RefreshTokenStatements.insert(token: token, ofSession: session, client: client, at: now), token)
    }

    func response(
        _ state: SessionState,
        refreshToken: RefreshToken?,
        showing user: User?,
        client: TokenClient = .firstParty,
        at now: Instant
    ) throws -> TokenResponse {
        TokenResponse(
            state: state,
            accessToken: try accessTokens.issue(for: state, client: client, at: now),
            refreshToken: refreshToken.map(codec.encode),
            user: user
        )
    }

    /// Deletes every refresh token of a registered client, if this transaction set its `updated_at` to `marker`.
    static func deletion(ofClient client: String, ifChangedAt marker: Instant) -> BoundStatement {
        RefreshTokenStatements.delete(ofClient: client, marker: marker)
    }

    /// The row of an authentic token, which stays as long as its session; the database is not asked.
    func rowKey(of text: RequestText) -> String? {
        guard case .authentic(let token) = codec.read(text) else { return nil }
        return token.rowKey
    }

    /// `nil` for a token that is good nowhere; the table of ring entries is read only for an id that this node lacks.
    ///
    /// - Throws: `RingError.heldElsewhere` when another node may know better, or a fault.
    private func authentic(_ text: RequestText) async throws(RingError) -> RefreshToken? {
        switch codec.read(text) {
        case .malformed: return nil
        case .authentic(let token) where !ring.isWithdrawn(token.keyID): return token
        case .forged(let keyID) where !ring.isWithdrawn(keyID): return nil
        // The id may be that of a later entry, too.
        case .authentic(let token): try await ring.requireUnregistered(token.keyID)
        case .forged(let keyID), .otherKey(let keyID): try await ring.requireUnregistered(keyID)
        }
        return nil
    }

    /// `client`: the presenter. A storage fault never logs out.
    package func refresh(
        _ text: RequestText,
        retryKey: RetryKey? = nil,
        client: TokenClient = .firstParty,
        from clientInfo: ClientInfo
    ) async throws(RefreshError) -> TokenResponse {
        let presented: RefreshToken?
        do { presented = try await authentic(text) } catch { throw .fault(error) }
        guard let presented else { throw .invalid }
        return try await RefreshError.catching {
            try await rotate(presented, retryKey: retryKey, client: client, from: clientInfo)
        }
    }

    private func rotate(
        _ presented: RefreshToken,
        retryKey: RetryKey?,
        client: TokenClient,
        from clientInfo: ClientInfo
    ) async throws -> TokenResponse {
        let now = clock.now()
        let idle = sessions.lifetime.idle
        let retryHash = retryKey.flatMap { codec.hash(of: $0, for: presented) }
        var transaction = Transaction()
        let rotated = transaction.add(
            RefreshTokenStatements.rotate(
                token: presented,
                client: client,
                idleStart: now - idle,
                retryHash: retryHash,
                at: now
            )
        )
        let left = transaction.add(RefreshTokenStatements.state(of: presented))
        let results = try await database.run(transaction)
        // RFC 6749 §6: only the client to which the token was issued may present it. Otherwise nothing is rotated, and
        // the session continues, because the token's own client did nothing wrong.
        guard let row = results[left].first else {
            let isOfDeleted = try await !database.run(DeletedUserTokens.find(refreshToken: presented)).isEmpty
            throw isOfDeleted ? RefreshError.ended(.userInactive) : RefreshError.invalid
        }
        guard try row.text("refresh_client_id") == client.id else { throw RefreshError.invalid }
        var state = try SessionState(row)
        let generation = try row.integer("refresh_generation")
        let rotatedAt = try row.instant("refresh_rotated_at")
        if let refusal = state.refusal(at: now, idleEnd: rotatedAt + idle) { throw RefreshError.ended(refusal) }

        let isRetry = try now < rotatedAt + Self.retryPeriod && Self.fits(retryHash, row)
        switch generation - Int64(presented.generation) {
        case 1 where results[rotated].affected == 1 || now < rotatedAt + grace || isRetry:
            // At most once per `extensionInterval` and session, so other refreshes stay one transaction of two
            // statements. Before the answer: a client without an answer retries with the same token.
            guard state.session.allows(client.audience) else { throw RefreshError.otherAudience }
            if sessions.isExtensionDue(state.session, at: now) {
                guard let extended = try await sessions.extendIdleExpiry(of: state, at: now) else {
                    throw RefreshError.ended(.revoked)
                }
                state = extended
                // SECURITY: judged again. What ended the session in between also raised the versions that the token
                // would carry, and such a token no event about versions would refuse.
                if let refusal = state.refusal(at: now, idleEnd: rotatedAt + idle) { throw RefreshError.ended(refusal) }
            }
            return try response(state, refreshToken: presented.successor, showing: nil, client: client, at: now)
        case 1...:
            // SECURITY: two parties have the token, and it is unknown which one is the thief.
            try await sessions.end(
                state.session.id,
                reason: .refreshTokenReused,
                actor: nil,
                from: clientInfo,
                // Generations are counts, and say nothing of the tokens.
                evidence: .change(
                    before: { writer in
                        writer.field("state", "active")
                        writer.field("generation", generation)
                    },
                    after: { writer in
                        writer.field("state", "revoked")
                        writer.field("presented", Int64(presented.generation))
                        writer.field("client_id", client.id)
                        writer.field("user_id", state.user.id)
                    }
                )
            )
            throw RefreshError.reused
        case 0 where !state.session.allows(client.audience):
            throw RefreshError.otherAudience
        case 0:
            // The row did not change, for no visible reason: the cause was undone in between. Retry.
            throw RefreshError.undecided
        default:
            // Authentic, but ahead of its row: the database was restored to an earlier state.
            throw RefreshError.invalid
        }
    }

    /// SECURITY: a thief of the token alone has no key, and a wrong one is theft as no key is.
    private static func fits(_ retryHash: [UInt8]?, _ row: Row) throws(StorageError) -> Bool {
        guard let retryHash, let kept = try row.optionalBytes("refresh_retry_hash") else { return false }
        return constantTimeEqual(retryHash, kept)
    }

    /// `nil` where a refresh would be refused now. One read without any effect.
    func lookUp(_ text: RequestText) async throws -> RefreshTokenInfo? {
        guard let presented = try await authentic(text) else { return nil }
        let now = clock.now()
        guard let row = try await database.run(RefreshTokenStatements.state(of: presented)).first else { return nil }
        let state = try SessionState(row)
        let rotatedAt = try row.instant("refresh_rotated_at")
        let end = min(rotatedAt + sessions.lifetime.idle, state.session.absoluteExpiresAt)
        let isNewest =
            switch try row.integer("refresh_generation") - Int64(presented.generation) {
            case 0: true
            case 1: now < rotatedAt + grace
            default: false
            }
        return RefreshTokenInfo(
            state: state,
            client: try row.text("refresh_client_id"),
            end: end,
            isUsable: isNewest && state.refusal(at: now, idleEnd: end) == nil
        )
    }
}

/// The session and client of any authentic token of a row. `nil` if it is not authentic, or the session is missing.
struct RefreshTokenInfo {
    let state: SessionState
    /// The client that the token was issued to.
    let client: String
    /// The token's own end.
    let end: Instant
    /// Whether a refresh would be answered now. Any authentic token may end its session.
    let isUsable: Bool
}
