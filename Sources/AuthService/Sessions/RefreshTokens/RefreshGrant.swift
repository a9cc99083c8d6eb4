// The refresh as both of its endpoints do it: `/v1/token/refresh` in JSON and `/oauth2/token` in the words of RFC 6749
// are two decoders over this one function.
import ServiceKit

struct RefreshGrant: Sendable {
    let tokens: Tokens
    let throttle: Throttle

    /// Rotates the token. `client`: who presents it; a token that was issued to another client is not valid here.
    func callAsFunction(
        _ token: String,
        client: String = AuthConfiguration.firstPartyClient,
        origin: Origin
    ) async throws -> Grant {
        do {
            return try await tokens.refresh(token, client: client, origin: origin)
        } catch let error as APIError where error.code == .refreshTokenInvalid {
            // Only refusals are counted: a good refresh is one unit, and a guess costs the guesser a counter.
            try await throttle.admit(.refreshFailure, from: origin)
            throw error
        }
    }
}
