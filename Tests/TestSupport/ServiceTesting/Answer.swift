package import HTTPTypes
package import HummingbirdTesting
internal import NIOCore
internal import ServiceKit

/// What a service answered.
package struct Answer: Sendable {
    package let status: Int
    package let headers: HTTPFields
    package let text: String

    package init(_ response: TestResponse) {
        status = response.status.code
        headers = response.headers
        text = String(buffer: response.body)
    }

    private var members: JSONElement? { try? JSONElement.parse(text) }

    /// The `code` of a problem (RFC 9457).
    package var code: String? { members?["code"]?.string }

    /// The `error` of OAuth (RFC 6749 §5.2).
    package var error: String? { members?["error"]?.string }

    /// The fields that a problem reports, as `field code`.
    package var violations: [String] {
        (members?["errors"]?.array ?? []).map { "\($0["field"]?.string ?? "?") \($0["code"]?.string ?? "?")" }
    }
}

extension TestClientProtocol {
    /// Sends a request, with a JSON body where there is one.
    package func send(
        _ method: HTTPRequest.Method,
        _ path: String,
        _ json: String? = nil,
        token: String? = nil,
        headers: HTTPFields = [:]
    ) async throws -> Answer {
        var headers = headers
        if json != nil, headers[.contentType] == nil { headers[.contentType] = "application/json" }
        if let token { headers[.authorization] = "Bearer \(token)" }
        let body = json.map { ByteBuffer(string: $0) }
        let answer = Answer(try await execute(uri: path, method: method, headers: headers, body: body))
        AnswerLog.add(method.rawValue, path, status: answer.status, code: answer.code)
        return answer
    }
}
