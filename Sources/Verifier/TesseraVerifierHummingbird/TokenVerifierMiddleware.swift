// Verifies bearer tokens for Hummingbird services. Handlers find the claims in their context and never see the token.
public import Hummingbird
public import TesseraVerifier

/// A request context with the claims of a verified token.
public protocol AuthenticatedRequestContext: RequestContext {
    /// The claims, once the middleware has accepted the token.
    var accessToken: AccessTokenClaims? { get set }
}

/// Verifies the bearer token of each request and puts its claims into the context.
public struct TokenVerifierMiddleware<Context: AuthenticatedRequestContext>: RouterMiddleware {
    /// What happens to a request without a bearer token.
    public enum Mode: Sendable {
        /// It is refused.
        case required
        /// It continues without claims, for example because another credential may follow. A bad token is still
        /// refused, because its sender meant to authenticate.
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
    ///   - verifier: decides whether a token is valid.
    ///   - mode: what happens to a request without a token.
    ///   - requireUser: whether a service's own token is refused.
    ///   - realm: of the challenge (RFC 9110 §11.5).
    ///   - failure: makes the error that is thrown for a refusal, so that the service can answer in its own format. The
    ///     answer needs the failure's status and headers. By default an `HTTPError`.
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

    /// Passes the request on with its claims.
    ///
    /// - Parameters:
    ///   - request: whose `Authorization` header is read.
    ///   - context: receives the claims; earlier claims are dropped.
    ///   - next: the next responder.
    /// - Returns: the answer of `next`.
    /// - Throws: the error of `failure` for a refusal, unchanged the error of a source that failed, and errors of
    ///   `next`.
    public func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        // SECURITY: claims from elsewhere do not survive a request without a token.
        context.accessToken = nil
        switch BearerToken.read(request.headers) {
        case .none:
            if mode == .required { throw failure(TokenFailure(.missing, realm: realm)) }
        case .unreadable:
            throw failure(TokenFailure(VerificationError(.malformed), realm: realm))
        case .token(let token):
            context.accessToken = try await claims(of: token)
        }
        return try await next(request, context)
    }

    private func claims(of token: String) async throws -> AccessTokenClaims {
        let claims: AccessTokenClaims
        do {
            claims = try await verifier.verify(token)
        } catch let error as VerificationError {
            throw failure(TokenFailure(error, realm: realm))
        }
        guard claims.isUser || !requireUser else {
            throw failure(TokenFailure(VerificationError(.missingClaim, claim: "sid"), realm: realm))
        }
        return claims
    }
}
