// The refresh behind both endpoints: `/v1/token/refresh` in JSON and `/oauth2/token` of RFC 6749.
import ServiceKit

struct RefreshEndpoint: Sendable {
    let tokens: RefreshTokens
    let throttle: Throttle
    let counters: RequestCounters

    /// `client`: the presenter; a token that was issued to another client is invalid.
    func callAsFunction(
        _ token: RequestText,
        retryKey: RetryKey?,
        client: TokenClient = .firstParty,
        from clientInfo: ClientInfo
    ) async throws(RefreshError) -> TokenResponse {
        if let row = tokens.rowKey(of: token) {
            do { try counters.count(session: row) } catch { throw .fault(error) }
        }
        do throws(RefreshError) {
            return try await tokens.refresh(token, retryKey: retryKey, client: client, from: clientInfo)
        } catch {
            // Only invalid tokens are counted, so a good refresh stays one transaction.
            if case .invalid = error { try await count(clientInfo) }
            throw error
        }
    }

    private func count(_ clientInfo: ClientInfo) async throws(RefreshError) {
        let refusal: RateLimited?
        do { refusal = try await throttle.admit(.refreshFailure, from: clientInfo) } catch { throw .fault(error) }
        if let refusal { throw .rateLimited(refusal) }
    }
}
