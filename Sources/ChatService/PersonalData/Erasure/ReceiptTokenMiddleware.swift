// Whose token reads the receipt of an erasure.
//
// A deletion ends every token of the user, also the one that asked for it. For a day that token still reads the
// receipt, and nothing else: it is genuine, and was issued before the erasure. An erasure by an admin or the operator
// was not asked for by the person, and gives no such right.
import Hummingbird
import ServiceKit
import Storage
import TesseraVerifierHummingbird

/// Stands in the place of `TokenVerifierMiddleware`, which it asks about any other token.
struct ReceiptTokenMiddleware: RouterMiddleware {
    let verifier: TokenVerifier
    let others: TokenVerifierMiddleware<ChatRequestContext>
    let counters: RequestCounters
    let erasures: Erasures

    func handle(
        _ request: Request,
        context: ChatRequestContext,
        next: @concurrent (Request, ChatRequestContext) async throws -> Response
    ) async throws -> Response {
        guard case .token(let token) = BearerToken.read(request.headers), let claims = try await ended(token) else {
            return try await others.handle(request, context: context, next: next)
        }
        var context = context
        context.accessToken = claims
        return try await next(request, context)
    }

    /// `nil` for a token that is valid, or that may not read a receipt.
    private func ended(_ token: String) async throws -> AccessTokenClaims? {
        do {
            _ = try await verifier.verify(token)
            return nil
        } catch let error as VerificationError {
            guard [.expired, .revoked, .stale, .userInactive].contains(error.code),
                let claims = try? await verifier.genuine(token), claims.isUser, RowID.isValid(claims.subject)
            else { return nil }
            try counters.count(person: claims.subject)
            guard let receipt = try await erasures.receipt(of: claims.subject),
                receipt.isReadable(by: claims, at: erasures.clock.now())
            else { return nil }
            return claims
        }
    }
}

extension ErasureReceipt {
    private static let day: Int64 = 86_400
    /// Seconds that auth's clock may be ahead.
    private static let leeway: Int64 = 30

    /// Whether a token that has ended since may show it.
    func isReadable(by claims: AccessTokenClaims, at now: Instant) -> Bool {
        guard [ErasureReason.userDeleted.rawValue, ErasureReason.requested.rawValue].contains(reason) else {
            return false
        }
        let requested = requestedAt.seconds
        return now.seconds < requested + Self.day && claims.issuedAt <= requested + Self.leeway
            && claims.expiresAt > requested - Self.day
    }
}
