// The only error that reaches the wire (RFC 9457).
package import HTTPTypes
package import Hummingbird
import NIOCore
package import Storage

/// Holds only what the caller may see. Internal causes go to the log.
package struct APIError: Error, Sendable, HTTPResponseError {
    package let code: ErrorCode
    package var detail: String?
    package var fields: [FieldError]
    package var headers: HTTPFields
    /// Extension members of the problem (RFC 9457 §3.2), for programs.
    package var members: [(name: String, value: String)]
    package var counts: [(name: String, value: Int64)] = []
    /// The row as it is, for a caller who may see it.
    package var current: JSONWriter?

    package init(
        _ code: ErrorCode,
        detail: String? = nil,
        fields: [FieldError] = [],
        headers: HTTPFields = [:],
        members: [(name: String, value: String)] = []
    ) {
        self.members = members
        self.code = code
        self.detail = detail
        self.fields = fields
        self.headers = headers
    }

    package static func field(
        _ field: String,
        _ code: String,
        _ message: String,
        _ params: FieldParams = .none
    ) -> APIError {
        APIError(.validationFailed, fields: [FieldError(field, code, message, params)])
    }

    /// `429` or `503` with `Retry-After` (RFC 9110 §10.2.3).
    package static func retry(_ code: ErrorCode, afterSeconds seconds: Int) -> APIError {
        APIError(code, headers: [.retryAfter: String(max(1, seconds))])
    }

    package var status: HTTPResponse.Status { code.status }

    package func response(from request: Request, context: some RequestContext) throws -> Response {
        response(requestID: context.id)
    }

    /// `application/problem+json`, never cached.
    package func response(requestID: String) -> Response {
        let (head, body) = problem(requestID: requestID)
        return Response(status: head.status, headers: head.headerFields, body: .init(byteBuffer: body))
    }

    /// The same in its parts, for what is refused before there is a request.
    func problem(requestID: String) -> (head: HTTPResponse, body: ByteBuffer) {
        let body = JSONWriter.object { writer in
            writer.field("type", "urn:tessera:error:\(code.rawValue)")
            writer.field("title", code.title)
            writer.field("status", Int(status.code))
            if let detail { writer.field("detail", detail) }
            writer.field("code", code.rawValue)
            writer.field("request_id", requestID)
            for (name, value) in members { writer.key(named: name) { $0.string(value) } }
            for (name, value) in counts { writer.key(named: name) { $0.integer(value) } }
            if let current { writer.field("current", raw: current.string) }
            if !fields.isEmpty {
                writer.array("errors") { writer in
                    for field in fields { field.write(to: &writer) }
                }
            }
        }
        var headers = headers
        if status == .unauthorized, headers[.wwwAuthenticate] == nil { headers[.wwwAuthenticate] = challenge }
        headers[.contentType] = "application/problem+json"
        headers[.cacheControl] = "no-store"
        return (HTTPResponse(status: status, headerFields: headers), body.buffer)
    }
}

extension APIError {
    /// RFC 6750 §3: a challenge names the error only if the request had a token.
    private var challenge: String {
        switch code {
        case .tokenInvalid, .tokenExpired, .tokenStale, .sessionRevoked, .sessionExpired:
            "Bearer realm=\"tessera\", error=\"invalid_token\", error_description=\"\(code.rawValue)\""
        default: "Bearer realm=\"tessera\""
        }
    }

    /// A storage fault is 503, never success, and never repeats the database's message.
    package init(_ error: StorageError) {
        switch error {
        case .outcomeUnknown: self = .retry(.outcomeUnknown, afterSeconds: 1)
        case .timedOut: self = .retry(.timedOut, afterSeconds: 1)
        case .memoryExhausted: self = .retry(.memoryExhausted, afterSeconds: 1)
        case .unavailable, .damaged, .overloaded, .cancelled, .schema:
            self = .retry(.databaseUnavailable, afterSeconds: 1)
        case .conflict: self = .retry(.databaseUnavailable, afterSeconds: 1)
        case .uniqueViolation, .foreignKeyViolation, .notNullViolation, .checkViolation, .invalidBinding, .invalidRow,
            .statementFailed:
            self = APIError(.internalError)
        }
    }
}
