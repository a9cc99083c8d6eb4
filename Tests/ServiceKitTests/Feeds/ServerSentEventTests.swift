import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Testing

@Suite("Server-sent events")
struct ServerSentEventTests {
    @Test("an event is its fields and a blank line, whatever its data holds")
    func bytes() {
        func text(_ data: String) -> String {
            String(buffer: ServerSentEvent(id: "e:1", name: "kind", data: data).bytes)
        }
        #expect(text(#"{"a":1}"#) == "id: e:1\nevent: kind\ndata: {\"a\":1}\n\n")
        // Each of the three line breaks begins a new field; lookalikes do not.
        #expect(text("a\nb\rc\r\nd") == "id: e:1\nevent: kind\ndata: a\ndata: b\ndata: c\ndata: d\n\n")
        #expect(text("a\u{2028}b\u{85}c") == "id: e:1\nevent: kind\ndata: a\u{2028}b\u{85}c\n\n")
        #expect(text("") == "id: e:1\nevent: kind\ndata: \n\n")
    }

    @Test(
        "a stream is what a caller accepts by name",
        arguments: [
            ("text/event-stream", true), ("Text/Event-Stream; q=0.5", true),
            ("application/json, text/event-stream", true), ("application/json", false), ("*/*", false),
            ("text/*", false), ("text/event-streams", false), ("", false),
        ]
    )
    func accept(value: String, expected: Bool) {
        let request = Request(
            head: .init(
                method: .get,
                scheme: "http",
                authority: "localhost",
                path: "/",
                headerFields: [.accept: value]
            ),
            body: .init(buffer: ByteBuffer())
        )
        #expect(request.acceptsEventStream == expected)
    }
}
