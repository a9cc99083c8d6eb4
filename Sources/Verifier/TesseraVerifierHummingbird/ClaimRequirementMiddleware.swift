public import Hummingbird
public import TesseraVerifier

/// Refuses requests whose token lacks a claim. It belongs behind `TokenVerifierMiddleware`.
public struct ClaimRequirementMiddleware<Context: AuthenticatedRequestContext>: RouterMiddleware {
    private let requirements: [ClaimRequirement]
    private let realm: String
    private let clock: @Sendable () -> Int64
    private let failure: @Sendable (TokenFailure) -> any Error

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - requirements: a token must meet all of them.
    ///   - realm: of the challenge (RFC 9110 §11.5).
    ///   - clock: the time in seconds since 1970, for `maxAge`.
    ///   - failure: makes the error that is thrown for a refusal. By default an `HTTPError`.
    public init(
        _ requirements: ClaimRequirement...,
        realm: String = "tessera",
        clock: @escaping @Sendable () -> Int64 = TokenRequirements.systemClock,
        failure: @escaping @Sendable (TokenFailure) -> any Error = { $0.httpError }
    ) {
        self.requirements = requirements
        self.realm = realm
        self.clock = clock
        self.failure = failure
    }

    /// Passes the request on if its claims suffice.
    ///
    /// - Parameters:
    ///   - request: any request.
    ///   - context: with the claims of `TokenVerifierMiddleware`.
    ///   - next: the next responder.
    /// - Returns: the answer of `next`.
    /// - Throws: the error of `failure` for a refusal, and errors of `next`.
    public func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard let claims = context.accessToken else { throw failure(TokenFailure(.missing, realm: realm)) }
        let now = clock()
        for requirement in requirements {
            do throws(VerificationError) {
                try requirement.check(claims, now: now)
            } catch {
                throw failure(TokenFailure(error, realm: realm))
            }
        }
        return try await next(request, context)
    }
}
