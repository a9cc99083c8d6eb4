// Server-sent events as bytes (WHATWG HTML, "Server-sent events"): lines of `field: value`, a blank line after each
// event. Whoever reconnects sends the last `id` that it saw as `Last-Event-ID`.
import HTTPTypes
package import Hummingbird
package import NIOCore

/// One event of a stream, or another thing that may stand between two of them.
package struct ServerSentEvent: Sendable {
    /// What the reader is to send as `Last-Event-ID` from here on.
    package let id: String
    /// The type that the reader listens for.
    package let name: String
    package let data: String

    package init(id: String, name: String, data: String) {
        self.id = id
        self.name = name
        self.data = data
    }

    /// The event with its blank line. Neither `id` nor `name` may hold a line break.
    package var bytes: ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeString("id: \(id)\nevent: \(name)\n")
        // A line break would end the field, so that each line of the data is a field of its own.
        for line in data.split(omittingEmptySubsequences: false, whereSeparator: { ["\n", "\r", "\r\n"].contains($0) })
        {
            buffer.writeString("data: \(line)\n")
        }
        buffer.writeString("\n")
        return buffer
    }

    /// How long a reader waits before it connects again.
    package static func retry(milliseconds: Int) -> ByteBuffer { ByteBuffer(string: "retry: \(milliseconds)\n\n") }

    /// A line that readers pass over: proof that the connection lives.
    package static func comment(_ text: String) -> ByteBuffer { ByteBuffer(string: ": \(text)\n\n") }

    /// Says once that everything has been sent that existed when the stream was asked for.
    package static func caughtUp(at cursor: EventCursor) -> ByteBuffer {
        let data = JSONWriter.object { $0.field("cursor", cursor.text) }.string
        return ServerSentEvent(id: cursor.text, name: "caught_up", data: data).bytes
    }

    /// Moves the reader's `Last-Event-ID` without an event.
    package static func position(_ id: String) -> ByteBuffer { ByteBuffer(string: "id: \(id)\n\n") }
}

extension Request {
    /// Whether the caller asks for a stream of events (RFC 9110 §12.5.1; weights do not matter between two forms).
    package var acceptsEventStream: Bool {
        headers[values: .accept].contains { value in
            value.split(separator: ",").contains { range in
                let type = range.prefix { $0 != ";" }.lowercased()
                return type.filter { !$0.isWhitespace } == "text/event-stream"
            }
        }
    }
}

extension Response {
    /// A stream of server-sent events, written by `body` for as long as it likes.
    package static func eventStream(
        _ body: @Sendable @escaping @concurrent (inout any ResponseBodyWriter) async throws -> Void
    ) -> Response {
        Response(
            status: .ok,
            headers: [
                .contentType: "text/event-stream",
                .cacheControl: "no-store",
                // nginx would otherwise collect the answer before it passes it on.
                .accelBuffering: "no",
            ],
            body: ResponseBody { writer in
                try await body(&writer)
                try await writer.finish(nil)
            }
        )
    }
}
