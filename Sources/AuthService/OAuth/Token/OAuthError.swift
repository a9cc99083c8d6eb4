// Errors of the OAuth endpoints by RFC 6749 §5.2. They are not problem+json, because libraries read `error`. Other
// errors (storage faults, too many requests) stay problem+json.
import HTTPTypes
import Hummingbird
import ServiceKit

struct OAuthError: Error, Sendable {
    enum Code: String, Sendable {
        case invalidRequest = "invalid_request"
        case invalidClient = "invalid_client"
        case invalidGrant = "invalid_grant"
        case invalidScope = "invalid_scope"
        case unsupportedGrantType = "unsupported_grant_type"
        /// RFC 8693 §2.2.2, RFC 8707 §2: an audience that is unknown or not allowed.
        case invalidTarget = "invalid_target"
        /// RFC 6750 §3.1.
        case insufficientScope = "insufficient_scope"
        /// RFC 7009 §2.2.1.
        case unsupportedTokenType = "unsupported_token_type"

        var status: HTTPResponse.Status {
            switch self {
            case .invalidClient: .unauthorized
            case .insufficientScope: .forbidden
            default: .badRequest
            }
        }
    }

    let code: Code
    /// ASCII without quotes and backslashes (RFC 6749 §5.2); never the caller's text.
    let description: String?

    init(_ code: Code, _ description: String? = nil) {
        self.code = code
        self.description = description
    }

    var response: Response {
        let body = JSONWriter.object { writer in
            writer.field("error", code.rawValue)
            if let description { writer.field("error_description", description) }
        }
        // RFC 6749 §5.2: a client that used `Authorization` must get the scheme; for others it does no harm.
        let challenge: HTTPFields = code == .invalidClient ? [.wwwAuthenticate: "Basic realm=\"tessera\""] : [:]
        return .oauth(body, status: code.status, headers: challenge)
    }
}

extension Response {
    /// RFC 6749 §5.1 requires both fields.
    static func oauth(
        _ body: JSONWriter,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.pragma] = "no-cache"
        return .json(body, status: status, headers: headers)
    }
}

struct OAuthErrorMiddleware: RouterMiddleware {
    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as OAuthError {
            return error.response
        } catch let error as FormError {
            let description =
                switch error {
                case .otherType: "the body must be application/x-www-form-urlencoded"
                case .malformed: "the body is not well formed"
                case .repeated: "a parameter is there more than once"
                }
            return OAuthError(.invalidRequest, description).response
        }
    }
}
