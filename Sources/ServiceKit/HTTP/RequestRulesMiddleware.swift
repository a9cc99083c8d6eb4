// What HTTP asks of every answer, whatever the operation. A target that cannot be read is refused. A client that waits
// before it sends its body gets `100 Continue`. One that has the answer already is not sent it again.
import HTTPTypes
package import Hummingbird
import NIOCore
import NIOHTTPTypes

package struct RequestRulesMiddleware<Context: WebRequestContext>: RouterMiddleware {
    package init() {}

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        if let refusal = context.target.refusal { throw refusal }
        let response = try await next(try Self.continuing(request, context.channel), context)
        return Self.isKnown(request, response) ? Self.notModified(response) : response
    }

    // MARK: Expect

    /// RFC 9110 §10.1.1: `100 Continue` goes out when the operation begins to read the body. A refusal before that
    /// saves the client the sending.
    private static func continuing(_ request: Request, _ channel: any Channel) throws(APIError) -> Request {
        let expectations = request.headers.elements(.expect)
        guard !expectations.isEmpty else { return request }
        guard expectations.map({ $0.keyword ?? "" }) == ["100-continue"] else { throw APIError(.expectationFailed) }
        var request = request
        request.body = RequestBody(asyncSequence: AwaitedBody(body: request.body, channel: channel))
        return request
    }

    // MARK: If-None-Match

    /// RFC 9110 §13.1.2, for what is read.
    private static func isKnown(_ request: Request, _ response: Response) -> Bool {
        guard request.method == .get || request.method == .head, response.status == .ok,
            let tag = response.headers[.eTag]
        else { return false }
        let values = request.headers.texts(.ifNoneMatch)
        return !values.isEmpty && EntityTagList(values).holds(tag)
    }

    /// RFC 9110 §15.4.5: the fields that a cache updates itself by.
    private static func notModified(_ response: Response) -> Response {
        var headers = response.headers
        for name in [.contentType, .contentLength, .contentEncoding, .contentDisposition] as [HTTPField.Name] {
            headers[name] = nil
        }
        return Response(
            status: .notModified,
            headers: headers,
            body: ResponseBody(contentLength: nil) { try await $0.finish(nil) }
        )
    }
}

/// A body whose client waits for `100 Continue`.
private struct AwaitedBody: AsyncSequence, Sendable {
    let body: RequestBody
    let channel: any Channel

    func makeAsyncIterator() -> Iterator { Iterator(base: body.makeAsyncIterator(), channel: channel) }

    struct Iterator: AsyncIteratorProtocol {
        var base: RequestBody.AsyncIterator
        let channel: any Channel
        var isAwaited = true

        @concurrent mutating func next() async throws -> ByteBuffer? {
            if isAwaited {
                isAwaited = false
                channel.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue)), promise: nil)
            }
            return try await base.next()
        }
    }
}
