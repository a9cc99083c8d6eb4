// Bearer tokens for Hummingbird services: handlers behind this middleware find the claims of a good token in their
// context, and never see the token.
public import Hummingbird
public import TesseraVerifier

/// A request context with room for the claims of a verified token.
public protocol AuthenticatedRequestContext: RequestContext {
    /// The claims of the request's token, once the middleware has accepted it.
    var accessToken: AccessTokenClaims? { get set }
}

/// Verifies the bearer token of each request and puts its claims into the context.
public struct TokenVerifierMiddleware<Context: AuthenticatedRequestContext>: RouterMiddleware {
    /// What becomes of a request without a bearer token.
    public enum Mode: Sendable {
        /// It is refused.
        case required
        /// It goes on without claims, for example because another credential may follow. A token that is there and is
        /// bad is refused all the same: who sends one means to be someone.
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
    ///   - verifier: decides whether a token is good.
    ///   - mode: what becomes of a request without a token.
    ///   - requireUser: whether a service's own token is refused.
    ///   - realm: of the challenge (RFC 9110 §11.5).
    ///   - failure: makes the error that is thrown for a refusal, so that the service can answer in its own format. Its
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
    ///   - context: gets the claims; whatever claims it had are dropped.
    ///   - next: what is behind.
    /// - Returns: the answer of what is behind.
    /// - Throws: what `failure` makes of the refusal; errors of a source that could not tell, as they are; and what is
    ///   thrown behind.
    public func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        // SECURITY: claims that something else put there do not survive a request without a token.
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
