// Rotation: the one place where a refresh token becomes the next.
//
// A token that is not authentic is refused before the database hears of it. An authentic one is judged by what its
// row says *after* a conditional rotation, in one unit:
//   - the rotation took place → the successor;
//   - the row is one ahead, rotated within the grace → the same successor, computed again: parallel tabs, retries and
//     lost answers log nobody out, and 64 parallel refreshes yield one value;
//   - the row is further ahead, or the grace is over → theft: the session ends, in one further unit that begins with
//     the user's row.
// RFC 9700 §4.14.2 asks for rotation with reuse detection; the grace is the answer to its cost in practice.
import OpenSSLCrypto
package import ServiceKit
package import Storage

/// What a login or refresh answers.
package struct Grant: Sendable {
    package let state: SessionState
    package let accessToken: AccessToken
    /// `nil` when the session is carried by a cookie.
    package let refreshToken: String?
    /// The user, when the answer shows one (a refresh does not).
    let user: User?

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
        }
    }
}

package struct Tokens: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let codec: RefreshTokenCodec
    let accessTokens: AccessTokens
    let sessions: Sessions
    let grace: Duration

    /// The insert of a session's refresh token, and the token.
    func opening(session: String, at now: Instant) -> (statement: BoundStatement, token: RefreshToken) {
        let token = codec.first(random: random)
        let client = AuthConfiguration.firstPartyClient
        return (RefreshTokenStatements.insert(token, ofSession: session, client: client, at: now), token)
    }

    func grant(
        _ state: SessionState,
        refreshToken: RefreshToken?,
        showing user: User?,
        client: String = AuthConfiguration.firstPartyClient,
        at now: Instant
    ) throws -> Grant {
        Grant(
            state: state,
            accessToken: try accessTokens.issue(for: state, clientID: client, at: now),
            refreshToken: refreshToken.map(codec.encode),
            user: user
        )
    }

    /// Rotates a refresh token. `client`: who presents it.
    ///
    /// A storage fault is a fault, never a logout.
    package func refresh(
        _ text: String,
        client: String = AuthConfiguration.firstPartyClient,
        origin: Origin
    ) async throws(RefreshError) -> Grant {
        guard let presented = codec.decode(text) else { throw .invalid }
        return try await RefreshError.catching { try await rotate(presented, client: client, origin: origin) }
    }

    private func rotate(_ presented: RefreshToken, client: String, origin: Origin) async throws -> Grant {
        let now = clock.now()
        let idle = sessions.lifetime.idle
        var transaction = Transaction()
        let rotated = transaction.add(
            RefreshTokenStatements.rotate(presented, client: client, idleStart: now - idle, at: now)
        )
        let left = transaction.add(RefreshTokenStatements.state(of: presented))
        let results = try await database.run(transaction)
        // RFC 6749 §6: the token must have been issued to the client that presents it. If not, nothing was rotated, and
        // nothing is held against the session: the token's own client did nothing wrong.
        guard let row = results[left].first, try row.text("refresh_client_id") == client else {
            throw RefreshError.invalid
        }
        var state = try SessionState(row)
        let generation = try row.integer("refresh_generation")
        let rotatedAt = try row.instant("refresh_rotated_at")
        if let refusal = state.refusal(at: now, idleEnd: rotatedAt + idle) { throw RefreshError.ended(refusal) }

        switch generation - Int64(presented.generation) {
        case 1 where results[rotated].affected == 1 || now < rotatedAt + grace:
            // Once in a `slideAfter` a session: the other refreshes stay one unit of two statements. Before the answer, so
            // that a client that was answered has slid; one that was not comes back with the same token.
            if sessions.isSlideDue(state.session, at: now) {
                guard let slid = try await sessions.slid(state, at: now) else { throw RefreshError.ended(.revoked) }
                state = slid
                // SECURITY: judged again. What ended the session in between also raised the versions that the token would
                // carry, and such a token no event about versions would refuse.
                if let refusal = state.refusal(at: now, idleEnd: rotatedAt + idle) { throw RefreshError.ended(refusal) }
            }
            return try grant(state, refreshToken: presented.successor, showing: nil, client: client, at: now)
        case 1...:
            // SECURITY: a token that was used before is in two hands. Which of them is the thief's cannot be told.
            try await sessions.end(state.session.id, reason: .refreshTokenReused, actor: nil, origin: origin)
            throw RefreshError.reused
        case 0:
            // The row stood still though nothing speaks against it now: what did was undone in between. Once more.
            throw RefreshError.undecided
        default:
            // Authentic, but ahead of its row: the database was restored to an earlier state.
            throw RefreshError.invalid
        }
    }

    /// The session of a refresh token and the token's own end, or `nil` where a refresh would be refused now. One read:
    /// asking changes nothing, and holds nothing against the session.
    func standing(of text: String) async throws -> (state: SessionState, client: String, end: Instant)? {
        guard let presented = codec.decode(text) else { return nil }
        let now = clock.now()
        guard let row = try await database.run(RefreshTokenStatements.state(of: presented)).first else { return nil }
        let state = try SessionState(row)
        let rotatedAt = try row.instant("refresh_rotated_at")
        let end = min(rotatedAt + sessions.lifetime.idle, state.session.absoluteExpiresAt)
        guard state.refusal(at: now, idleEnd: end) == nil else { return nil }
        switch try row.integer("refresh_generation") - Int64(presented.generation) {
        case 0: break
        case 1 where now < rotatedAt + grace: break
        default: return nil
        }
        return (state, try row.text("refresh_client_id"), end)
    }

    /// The session that a refresh token belongs to and the client that it was issued to: any authentic token of it will
    /// do. `nil` for one that is not authentic, or whose session is gone.
    func owner(of text: String) async throws -> (state: SessionState, client: String)? {
        guard let token = codec.decode(text),
            let row = try await database.run(RefreshTokenStatements.state(of: token)).first
        else { return nil }
        return (try SessionState(row), try row.text("refresh_client_id"))
    }
}
