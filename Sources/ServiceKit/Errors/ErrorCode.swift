// Every `code` that a problem+json of either service can carry. Name, status and meaning of a code never change; a test
// compares docs/errors.md with this list.

package import HTTPTypes

package enum ErrorCode: String, Sendable, CaseIterable {
    // The request
    case invalidJSON = "invalid_json"
    case jsonNUL = "json_nul"
    case jsonDuplicateName = "json_duplicate_name"
    case jsonTooDeep = "json_too_deep"
    case jsonLoneSurrogate = "json_lone_surrogate"
    case validationFailed = "validation_failed"
    case bodyMissing = "body_missing"
    case bodyTooLarge = "body_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case unsupportedContentEncoding = "unsupported_content_encoding"
    case unsupportedTransferCoding = "unsupported_transfer_coding"
    case unsupportedVersion = "unsupported_http_version"
    case fieldsTooLarge = "header_fields_too_large"
    case expectationFailed = "expectation_failed"
    case invalidCursor = "invalid_cursor"
    case cursorGone = "cursor_gone"
    case resultGone = "result_gone"
    case methodNotAllowed = "method_not_allowed"
    case notFound = "not_found"
    case preconditionFailed = "precondition_failed"
    case badRequest = "bad_request"

    // The caller
    case tokenMissing = "token_missing"
    case tokenInvalid = "token_invalid"
    case tokenExpired = "token_expired"
    case tokenStale = "token_stale"
    case sessionRevoked = "session_revoked"
    case sessionExpired = "session_expired"
    case refreshTokenInvalid = "invalid_token"
    case refreshTokenReused = "refresh_token_reused"
    case invalidCredentials = "invalid_credentials"
    case userInactive = "user_inactive"
    case csrfRefused = "csrf_refused"
    case originRefused = "origin_refused"
    case cookieCrossSite = "cookie_cross_site"
    case roleRequired = "role_required"
    case insufficientScope = "insufficient_scope"

    // The resource
    case emailTaken = "email_taken"
    case idTaken = "id_taken"
    case slugTaken = "slug_taken"
    case tagTaken = "tag_taken"
    case idempotencyKeyReused = "idempotency_key_reused"
    case lastAdmin = "last_admin"
    case conflict = "conflict"
    case queryUnsearchable = "query_unsearchable"

    // Limits
    case rateLimited = "rate_limited"
    case quotaExceeded = "quota_exceeded"
    case hashingOverloaded = "hashing_overloaded"
    case memoryExhausted = "memory_exhausted"
    case databaseUnavailable = "database_unavailable"
    case outcomeUnknown = "outcome_unknown"
    case timedOut = "timed_out"
    case keysUnavailable = "keys_unavailable"
    case keyUnknown = "key_unknown"
    case revocationsUnavailable = "revocations_unavailable"
    case searchRebuilding = "search_rebuilding"
    case internalError = "internal_error"

    package var status: HTTPResponse.Status {
        switch self {
        case .invalidJSON, .jsonNUL, .jsonDuplicateName, .jsonTooDeep, .jsonLoneSurrogate, .validationFailed,
            .bodyMissing, .invalidCursor, .badRequest:
            .badRequest
        case .cursorGone, .resultGone: .gone
        case .bodyTooLarge: .contentTooLarge
        case .unsupportedMediaType, .unsupportedContentEncoding: .unsupportedMediaType
        case .unsupportedTransferCoding: .notImplemented
        case .unsupportedVersion: .httpVersionNotSupported
        case .fieldsTooLarge: .requestHeaderFieldsTooLarge
        case .expectationFailed: .expectationFailed
        case .methodNotAllowed: .methodNotAllowed
        case .notFound: .notFound
        case .preconditionFailed: .preconditionFailed
        case .tokenMissing, .tokenInvalid, .tokenExpired, .tokenStale, .sessionRevoked, .sessionExpired,
            .refreshTokenInvalid, .refreshTokenReused, .invalidCredentials:
            .unauthorized
        case .userInactive, .csrfRefused, .originRefused, .cookieCrossSite, .roleRequired, .insufficientScope:
            .forbidden
        case .emailTaken, .idTaken, .slugTaken, .tagTaken, .lastAdmin, .conflict: .conflict
        case .idempotencyKeyReused, .queryUnsearchable: .unprocessableContent
        case .rateLimited, .quotaExceeded: .tooManyRequests
        case .hashingOverloaded, .memoryExhausted, .databaseUnavailable, .outcomeUnknown, .timedOut, .keysUnavailable,
            .keyUnknown, .revocationsUnavailable, .searchRebuilding:
            .serviceUnavailable
        case .internalError: .internalServerError
        }
    }

    /// For people; the answer's `detail` may say more.
    package var title: String {
        switch self {
        case .invalidJSON: "The body is not valid JSON."
        case .jsonNUL: "A string of the body holds U+0000, which cannot be stored."
        case .jsonDuplicateName: "An object of the body has the same member twice."
        case .jsonTooDeep: "The body is nested too deeply."
        case .jsonLoneSurrogate: "A string of the body holds half of a surrogate pair, which is no text."
        case .validationFailed: "The request has invalid fields."
        case .bodyMissing: "A JSON body is required."
        case .bodyTooLarge: "The body is too large."
        case .unsupportedMediaType: "The body must be application/json."
        case .unsupportedContentEncoding: "The body must be sent as it is, or with gzip."
        case .unsupportedTransferCoding: "The only transfer coding here is chunked."
        case .unsupportedVersion: "The server speaks HTTP/1.1."
        case .fieldsTooLarge: "The header fields are too large."
        case .expectationFailed: "The only expectation that can be met is 100-continue."
        case .invalidCursor: "The cursor is not from this list."
        case .cursorGone: "The cursor is no longer valid; start again."
        case .resultGone: "The result of the first request has been deleted."
        case .methodNotAllowed: "The method is not allowed for this path."
        case .notFound: "The resource was not found."
        case .preconditionFailed: "The resource has changed since the version in If-Match."
        case .badRequest: "The request is malformed."
        case .tokenMissing: "A bearer token or session cookie is required."
        case .tokenInvalid: "The token is not valid."
        case .tokenExpired: "The token has expired."
        case .tokenStale: "The token predates a change to the account; refresh it."
        case .sessionRevoked: "The session has been revoked."
        case .sessionExpired: "The session has expired."
        case .refreshTokenInvalid: "The refresh token is not valid."
        case .refreshTokenReused: "The refresh token was used before; its session has been revoked."
        case .invalidCredentials: "The email or password is wrong."
        case .userInactive: "The user is deactivated or deleted."
        case .csrfRefused: "The request's origin is not allowed."
        case .originRefused: "The browser's origin may not call this server."
        case .cookieCrossSite: "The browser would drop the cookie: the page is on another site than this server."
        case .roleRequired: "The caller's role does not allow this."
        case .insufficientScope: "The token lacks the required scope."
        case .emailTaken: "The email address is already in use."
        case .idTaken: "The id is already in use."
        case .slugTaken: "Another of your conversations has this slug."
        case .tagTaken: "Another of your tags has this name."
        case .idempotencyKeyReused: "The Idempotency-Key was used for a different request."
        case .lastAdmin: "The last active admin cannot be removed."
        case .conflict: "The resource was changed at the same time; retry."
        case .queryUnsearchable: "The query has no searchable words, or too many."
        case .rateLimited: "Too many requests; retry later."
        case .quotaExceeded: "The quota is exceeded."
        case .hashingOverloaded: "Too many sign-ins at once; retry shortly."
        case .memoryExhausted: "The server has no memory left for this request; retry shortly."
        case .databaseUnavailable: "The database is unavailable; retry shortly."
        case .outcomeUnknown: "The connection was lost during the commit; the change may have been made."
        case .timedOut: "The request took too long; ask for less."
        case .keysUnavailable: "The token cannot be verified now; retry shortly."
        case .keyUnknown: "This node does not hold the key yet; retry shortly."
        case .revocationsUnavailable: "Revocation status is unavailable; retry shortly."
        case .searchRebuilding: "The search index is being rebuilt; retry later."
        case .internalError: "An internal error occurred."
        }
    }
}
