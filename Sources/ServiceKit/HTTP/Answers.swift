// Answers in the few shapes there are. Personal unless said otherwise, hence never cached.
package import HTTPTypes
package import Hummingbird

extension Response {
    /// A JSON answer, `no-store`.
    package static func json(
        _ body: JSONWriter,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
        return Response(status: status, headers: headers, body: .init(byteBuffer: body.buffer))
    }

    /// `204`, `no-store`.
    package static func noContent(headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        return Response(status: .noContent, headers: headers)
    }
}
