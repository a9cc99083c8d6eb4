// Authenticates the client of a request.
//
// The token endpoint reads the row for every request, so a disabled client, a rotated secret and a replaced key take
// effect at once. Introspection uses rows and authentications of the last seconds. Failures are counted per network:
// secrets cannot be guessed, but attempts should have a cost.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit
import Storage

struct ClientAuthentication: Sendable {
    let clients: Clients
    let throttle: Throttle
    let assertions: ClientAssertions
    var takesRecent = false

    /// `nil` for the public first-party client, which cannot authenticate.
    ///
    /// - Throws: `invalid_client`, `invalid_request`; a storage fault unchanged.
    func client(of request: Request, _ form: FormBody, from clientInfo: ClientInfo) async throws -> Client? {
        try await counted(clientInfo) { try await judge(try ClientCredentials(request.headers, form)) }
    }

    /// Refuses the public client.
    func requiredClient(of request: Request, _ form: FormBody, from clientInfo: ClientInfo) async throws -> Client {
        try await counted(clientInfo) {
            let credentials = try ClientCredentials(request.headers, form)
            guard let client = try await judge(credentials) else { throw OAuthError.invalidClient }
            if takesRecent, case .secret = credentials, let digest = Self.digest(request.headers, form) {
                clients.remember(digest, of: client)
            }
            return client
        }
    }

    /// The client, if it sent the same header recently: then nothing is parsed.
    func recentClient(of request: Request, _ form: FormBody) -> Client? {
        guard takesRecent, let digest = Self.digest(request.headers, form) else { return nil }
        return clients.recent(by: digest)
    }

    /// The cache key of credentials that are only a header. Two headers would become one text with a comma, which is
    /// never valid and so never cached.
    private static func digest(_ headers: HTTPFields, _ form: FormBody) -> SHA256Digest? {
        guard form["client_id"] == nil, form["client_secret"] == nil, form["client_assertion"] == nil else {
            return nil
        }
        return headers.text(.authorization).map { SHA256.digest(of: $0.verbatim) }
    }

    private func counted<T>(_ clientInfo: ClientInfo, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as OAuthError where error.code == .invalidClient {
            if let refusal = try await throttle.admit(.clientFailure, from: clientInfo) { throw refusal }
            throw error
        }
    }

    private func judge(_ credentials: ClientCredentials) async throws -> Client? {
        switch credentials {
        case .none(let id):
            guard id == nil || id == RequestText(AuthConfiguration.firstPartyClient) else {
                throw OAuthError.invalidClient
            }
            return nil
        case .secret(let id, let text):
            guard let secret = ClientSecret(text: text), let client = try await enabled(id),
                client.accepts(secret, at: clients.clock.now())
            else { throw OAuthError.invalidClient }
            return client
        case .assertion(let text, let id):
            let assertion = try assertions.read(text)
            guard id == nil || id == RequestText(assertion.clientID),
                let client = try await enabled(RequestText(assertion.clientID))
            else {
                throw OAuthError.invalidClient
            }
            try await assertions.check(assertion, of: client)
            return client
        }
    }

    private func enabled(_ id: RequestText) async throws -> Client? {
        guard RowID.isValid(id) else { return nil }
        let id = id.verbatim
        let found = takesRecent ? try await clients.findRecent(id) : try await clients.find(id)
        guard let client = found, !client.isDisabled else { return nil }
        return client
    }
}
