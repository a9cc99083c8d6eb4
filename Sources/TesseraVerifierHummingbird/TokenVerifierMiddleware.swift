// Bearer tokens for Hummingbird services (RFC 6750).
public import HTTPTypes
public import Hummingbird
public import TesseraVerifier

/// A request context that can hold the claims of a verified token.
public protocol AuthenticatedRequestContext: RequestContext {
    /// The claims of the request's token, once the middleware has accepted it.
    var accessToken: AccessTokenClaims? { get set }
}

/// Verifies the bearer token of each request and puts its claims into the context.
public struct TokenVerifierMiddleware<Context: AuthenticatedRequestContext>: RouterMiddleware {
    /// What a request without a token means.
    public enum Mode: Sendable {
        /// It is refused.
        case required
        /// It goes on without claims. A token that is present and bad is refused all the same.
        case optional
    }

    private let verifier: TokenVerifier
    private let mode: Mode
    private let requireUser: Bool
    private let realm: String
    private let failure: @Sendable (TokenFailure) -> any Error

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - verifier: decides.
    ///   - mode: what a request without a token means.
    ///   - requireUser: whether a service's own token is refused.
    ///   - realm: of the challenge (RFC 9110 §11.5).
    ///   - failure: makes the error that is thrown; by default a plain `HTTPError` with the challenge.
    public init(
        verifier: TokenVerifier,
        mode: Mode = .required,
        requireUser: Bool = true,
        realm: String = "tessera",
        failure: @escaping @Sendable (TokenFailure) -> any Error = { $0.httpError }
    ) {
        self.verifier = verifier
        self.mode = mode
        self.requireUser = requireUser
        self.realm = realm
        self.failure = failure
    }

    public func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        switch BearerToken.read(request.headers) {
        case .none:
            if mode == .required { throw failure(TokenFailure(.missing, realm: realm)) }
        case .unreadable:
            throw failure(TokenFailure(.invalid, realm: realm))
        case .token(let token):
            context.accessToken = try await claims(of: token)
        }
        return try await next(request, context)
    }

    private func claims(of token: String) async throws -> AccessTokenClaims {
        do {
            let claims = try await verifier.verifyCurrent(token)
            guard claims.isUser || !requireUser else { throw VerificationError(.missingClaim) }
            return claims
        } catch let error as VerificationError {
            throw failure(TokenFailure(error, realm: realm))
        }
    }
}

/// The `Authorization` header, read once for every route.
public enum BearerToken: Sendable, Hashable {
    /// No `Authorization` header, or one of another scheme.
    case none
    /// More than one header, or a Bearer header without exactly one token.
    case unreadable
    /// The token.
    case token(String)

    /// Reads the header (RFC 6750 §2.1). The scheme ignores case (RFC 9110 §11.1).
    public static func read(_ headers: HTTPFields) -> BearerToken {
        let values = headers[values: .authorization]
        guard let value = values.first else { return .none }
        guard values.count == 1 else { return .unreadable }
        let parts = value.split(separator: " ", omittingEmptySubsequences: true)
        guard parts.first?.lowercased() == "bearer" else { return .none }
        return parts.count == 2 ? .token(String(parts[1])) : .unreadable
    }
}
