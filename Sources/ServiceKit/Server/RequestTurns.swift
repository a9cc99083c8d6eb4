// One request of a connection at a time.
//
// HTTP/1.1 lets a client send many requests without waiting for answers (RFC 9112 §9.3.2). A parsed request takes about
// a hundred times the 18 bytes that the shortest one has on the wire, and an answer may take megabytes. A client that
// sends and never reads would fill the memory. Two handlers bound that. `RequestGate` holds the bytes that follow a
// request; `RequestTurns` says when the next one may be parsed: after the answer was written, and the client has taken
// all of it but what a connection buffers.
import HTTPTypes
package import NIOCore
package import NIOHTTPTypes

/// What the two handlers of a connection share. Belongs to its event loop.
final class RequestTurn {
    /// Requests that have arrived whole.
    fileprivate(set) var requests = 0
    /// Answers that have been written whole.
    fileprivate(set) var answers = 0
    /// Bytes of the body that is arriving, as announced by `Content-Length`, which the gate has not let in.
    var bodyBytes = 0
    fileprivate(set) var isStreaming = false
    /// The client sends nothing more: it closed the connection, or its half of it.
    var inputHasEnded = false
    /// Called when the next request may be let in.
    var mayContinue: () -> Void = {}

    /// An answer may be whole before its request is, as a refusal of a large body is.
    var isAnswering: Bool { requests > answers }
}

/// Sits behind the HTTP decoder and puts its gate in front of it.
package final class RequestTurns: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private let turn = RequestTurn()

    package init() {}

    package func handlerAdded(context: ChannelHandlerContext) {
        // One read at a time: what is read behind a request has to be held.
        try? context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: 1)
        do {
            try context.pipeline.syncOperations.addHandler(RequestGate(turn), position: .first)
        } catch {
            context.close(promise: nil)
        }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        turn.mayContinue = {}
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            let isChunked = head.headerFields[.transferEncoding] != nil
            turn.bodyBytes = isChunked ? 0 : head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
        case .body: break
        case .end: turn.requests += 1
        }
        context.fireChannelRead(data)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(let head):
            turn.isStreaming = head.headerFields[.contentType]?.utf8.starts(with: "text/event-stream".utf8) ?? false
            context.write(data, promise: promise)
            // The client of a stream has nothing to do but to listen; one that has left is not waited for.
            if turn.isStreaming, turn.inputHasEnded { context.close(promise: nil) }
        case .body: context.write(data, promise: promise)
        case .end:
            context.write(data, promise: promise)
            turn.isStreaming = false
            turn.answers += 1
            turn.mayContinue()
        }
    }
}
