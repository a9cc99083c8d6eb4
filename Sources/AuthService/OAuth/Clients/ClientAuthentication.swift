// Decides whether a request comes from the client that it names.
//
// Where tokens are made the row is read for every request, so a disabled client, a rotated secret and a replaced key
// count at once; introspection takes what was read, and who proved themselves, a moment ago. Failures are counted per network: secrets cannot be
// guessed, but guessing should not be free either.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit
import Storage

struct ClientAuthentication: Sendable {
    let clients: Clients
    let throttle: Throttle
    let assertions: ClientAssertions
    /// Whether a row that was read a moment ago will do.
    var takesRecent = false

    /// The client behind the request; `nil` for the public first-party one, which has no way to prove anything.
    ///
    /// - Throws: `invalid_client`, `invalid_request`; a storage fault as it is.
    func client(of request: Request, _ form: FormBody, origin: Origin) async throws -> Client? {
        try await counted(origin) { try await judge(try ClientCredentials(request.headers, form)) }
    }

    /// The client, where a public one will not do.
    func requiredClient(of request: Request, _ form: FormBody, origin: Origin) async throws -> Client {
        try await counted(origin) {
            let credentials = try ClientCredentials(request.headers, form)
            guard let client = try await judge(credentials) else { throw OAuthError.invalidClient }
            if takesRecent, case .secret = credentials, let digest = Self.digest(request.headers, form) {
                clients.remember(digest, of: client)
            }
            return client
        }
    }

    /// The client, if it sent the same header a moment ago: then nothing of it is taken apart.
    func recentClient(of request: Request, _ form: FormBody) -> Client? {
        guard takesRecent, let digest = Self.digest(request.headers, form) else { return nil }
        return clients.recent(by: digest)
    }

    /// What is remembered of credentials that are nothing but a header. Two headers would be one text with a comma, which
    /// is no good credential and so never remembered.
    private static func digest(_ headers: HTTPFields, _ form: FormBody) -> SHA256Digest? {
        guard form["client_id"] == nil, form["client_secret"] == nil, form["client_assertion"] == nil else {
            return nil
        }
        return headers[.authorization].map { SHA256.digest(of: $0) }
    }

    private func counted<T>(_ origin: Origin, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as OAuthError where error.code == .invalidClient {
            if let refusal = try await throttle.admit(.clientFailure, from: origin) { throw refusal }
            throw error
        }
    }

    private func judge(_ credentials: ClientCredentials) async throws -> Client? {
        switch credentials {
        case .none(let id):
            guard id == nil || id == AuthConfiguration.firstPartyClient else { throw OAuthError.invalidClient }
            return nil
        case .secret(let id, let text):
            guard let secret = ClientSecret(text: text), let client = try await enabled(id),
                client.accepts(secret, at: clients.clock.now())
            else { throw OAuthError.invalidClient }
            return client
        case .assertion(let text, let id):
            let assertion = try assertions.read(text)
            guard id == nil || id == assertion.clientID, let client = try await enabled(assertion.clientID) else {
                throw OAuthError.invalidClient
            }
            try await assertions.check(assertion, of: client)
            return client
        }
    }

    private func enabled(_ id: String) async throws -> Client? {
        let found = takesRecent ? try await clients.findRecent(id) : try await clients.find(id)
        guard let client = found, !client.isDisabled else { return nil }
        return client
    }
}
