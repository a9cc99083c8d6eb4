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
    ) async throws(RefreshError) -> Grant {
        do throws(RefreshError) {
            return try await tokens.refresh(token, client: client, origin: origin)
        } catch {
            // Only guesses are counted: a good refresh is one transaction, and a guess costs its network a counter.
            if case .invalid = error { try await count(origin) }
            throw error
        }
    }

    private func count(_ origin: Origin) async throws(RefreshError) {
        let refusal: RateLimited?
        do { refusal = try await throttle.admit(.refreshFailure, from: origin) } catch { throw .fault(error) }
        if let refusal { throw .rateLimited(refusal) }
    }
}
