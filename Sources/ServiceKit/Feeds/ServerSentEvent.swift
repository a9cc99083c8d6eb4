// Server-sent events (WHATWG HTML): lines of `field: value`, then a blank line. A client that reconnects sends the last
// `id` as `Last-Event-ID`.
import HTTPTypes
package import Hummingbird
package import NIOCore

package struct ServerSentEvent: Sendable {
    package let id: String
    package let name: String
    package let data: String

    package init(id: String, name: String, data: String) {
        self.id = id
        self.name = name
        self.data = data
    }

    /// Neither `id` nor `name` may contain a line break.
    package var bytes: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("id: \(id)\nevent: \(name)\n")
        // A line break would end the field, so each line of the data is a field.
        var rest = data.utf8[...]
        while true {
            let line = rest.prefix { $0 != 0x0A && $0 != 0x0D }
            buffer.writeString("data: ")
            buffer.writeSubstring(Substring(line))
            buffer.writeString("\n")
            rest = rest[line.endIndex...]
            guard let end = rest.popFirst() else { break }
            // CR LF is one line break.
            if end == 0x0D, rest.first == 0x0A { rest.removeFirst() }
        }
        buffer.writeString("\n")
        return buffer
    }

    package static func retry(milliseconds: Int) -> ByteBuffer { ByteBuffer(string: "retry: \(milliseconds)\n\n") }

    /// Clients ignore it; it proves that the connection is alive.
    package static func comment(_ text: String) -> ByteBuffer { ByteBuffer(string: ": \(text)\n\n") }

    /// Sent once, after all events that existed when the stream began.
    package static func caughtUp(at cursor: EventCursor) -> ByteBuffer {
        let data = JSONWriter.object { $0.field("cursor", cursor.text) }.string
        return ServerSentEvent(id: cursor.text, name: "caught_up", data: data).bytes
    }

    package static func position(_ id: String) -> ByteBuffer { ByteBuffer(string: "id: \(id)\n\n") }
}

extension Request {
    /// RFC 9110 §12.5.1; weights do not matter between two forms.
    package var acceptsEventStream: Bool {
        headers.elements(.accept).contains { range in
            range.pieces(between: ";").first?.trimmingSpaces.keyword == "text/event-stream"
        }
    }
}

extension Response {
    package static func eventStream(
        _ body: @Sendable @escaping @concurrent (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream",
                .cacheControl: "no-store",
                // nginx would otherwise buffer the answer.
                .accelBuffering: "no",
            ],
            body: ResponseBody { writer in
                try await body(&writer)
                try await writer.finish(nil)
            }
        )
    }
}
