// A service proves that it may read the feed with an access token of its own, for its id and secret (RFC 6749 §4.4,
// `client_secret_basic` of §2.3.1).
import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import OpenSSLCrypto
import Synchronization

/// A service's credentials at the issuer. They appear in no description, log or error of this library.
public struct ClientCredentials: Sendable, CustomStringConvertible, CustomReflectable {
    let tokenEndpoint: String
    let id: String
    let secret: String

    /// Makes credentials.
    ///
    /// - Parameters:
    ///   - tokenEndpoint: for example `https://auth.example.com/oauth2/token`.
    ///   - id: the client's id.
    ///   - secret: the client's secret.
    public init(tokenEndpoint: String, id: String, secret: String) {
        self.tokenEndpoint = tokenEndpoint
        self.id = id
        self.secret = secret
    }

    /// The client's id.
    public var description: String { "client \(id)" }

    /// Shows the client's id alone.
    public var customMirror: Mirror { Mirror(self, children: ["id": id]) }

    /// The value of `Authorization`. Each part is form-encoded, so a colon in the id is not the separator.
    var basic: String { "Basic " + Base64.encode(Array("\(Self.encoded(id)):\(Self.encoded(secret))".utf8)) }

    static func encoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { out, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                out.unicodeScalars.append(Unicode.Scalar(byte))
            default: out += "%" + Hex.encode([byte]).uppercased()
            }
        }
    }
}

/// Gets tokens for one scope, and caches the last until shortly before it expires.
final class ServiceTokens: Sendable {
    enum Failure: Error {
        /// `401`: the id or secret is wrong. `400`: the client may not have the scope.
        case refused(status: UInt)
        case redirected
        case notUnderstood
    }

    private struct Kept {
        let token: String
        let endsAt: ContinuousClock.Instant
    }

    private let credentials: ClientCredentials
    private let scope: String
    private let client: HTTPClient
    private let timeout: Duration
    private let logger: Logger
    private let kept = Mutex<Kept?>(nil)

    init(_ credentials: ClientCredentials, scope: String, client: HTTPClient, timeout: Duration, logger: Logger) {
        self.credentials = credentials
        self.scope = scope
        self.client = client
        self.timeout = timeout
        self.logger = logger
    }

    /// Has at least half a minute left.
    func token() async throws -> String {
        if let kept = kept.withLock({ $0 }), kept.endsAt > .now { return kept.token }
        let fresh = try await fetch()
        kept.withLock { $0 = fresh }
        return fresh.token
    }

    /// Drops a token that was refused.
    func forget() { kept.withLock { $0 = nil } }

    private func fetch() async throws -> Kept {
        var request = HTTPClientRequest.ofIssuer(credentials.tokenEndpoint)
        request.method = .POST
        request.headers.add(name: "Authorization", value: credentials.basic)
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.headers.add(name: "Accept", value: "application/json")
        let form = "grant_type=client_credentials&scope=\(ClientCredentials.encoded(scope))"
        request.body = .bytes(ByteBuffer(string: form))
        let asked = ContinuousClock.now
        let response = try await client.execute(request, timeout: TimeAmount(timeout), logger: logger)
        // SECURITY: the secret goes to the configured address only.
        guard response.history.count <= 1 else { throw Failure.redirected }
        guard response.status == .ok else { throw Failure.refused(status: response.status.code) }
        let body = try await response.body.collect(upTo: 1 << 16)
        guard
            let answer = JSONFields(Array(body.readableBytesView)),
            case .text(let token)? = answer["access_token"], !token.isEmpty,
            case .text(let type)? = answer["token_type"], type.lowercased() == "bearer"
        else { throw Failure.notUnderstood }
        let lifetime: Int64 = if case .integer(let seconds)? = answer["expires_in"] { seconds } else { 0 }
        return Kept(token: token, endsAt: asked + .seconds(min(max(lifetime - 30, 0), 86_400)))
    }
}
