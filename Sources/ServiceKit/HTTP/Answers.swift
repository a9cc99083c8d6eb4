// Answers are `no-store` unless stated otherwise, because they are personal.
package import HTTPTypes
package import Hummingbird
import NIOCore

extension Response {
    package static func json(
        _ body: JSONWriter,
        status: HTTPResponse.Status = .ok,
        headers: HTTPFields = [:]
    ) -> Response {
        var headers = headers
        headers[.contentType] = "application/json"
        if headers[.cacheControl] == nil { headers[.cacheControl] = "no-store" }
        return Response(status: status, headers: headers, body: .init(body))
    }

    package static func noContent(headers: HTTPFields = [:]) -> Response {
        var headers = headers
        headers[.cacheControl] = "no-store"
        return Response(status: .noContent, headers: headers)
    }
}

extension ResponseBody {
    /// From how many bytes an answer is written in pieces, and is counted while it waits for its reader.
    private static let pieceSize = 256 << 10

    /// A whole text. What a large one takes is the request's until the client has taken it.
    package init(_ text: JSONWriter) {
        let bytes = text.bytes
        guard bytes.count > Self.pieceSize else {
            self.init(byteBuffer: text.buffer)
            return
        }
        // What it was made from is gone when it is written.
        let scope = RequestScope.current
        scope?.settle(at: bytes.capacity)
        self.init(contentLength: bytes.count) { writer in
            for start in stride(from: 0, to: bytes.count, by: Self.pieceSize) {
                let end = min(start + Self.pieceSize, bytes.count)
                try await writer.write(ByteBuffer(bytes: bytes[start..<end]))
            }
            try await writer.finish(nil)
            withExtendedLifetime(scope) {}
        }
    }
}
