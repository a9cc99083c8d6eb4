// The rules of HTTP/1.1 that hold for messages, whatever they are about (RFC 9112).
//
// A request that breaks one is refused here, behind the answers that are still owed. Where the next request would begin
// is not known, so the connection ends.
//
// An answer is framed by what its request allows. HTTP/1.0 has no chunks (§7.1), and HEAD has no body (§6.3). A client
// that waits for `100 Continue` and is refused may never send its body (RFC 9110 §10.1.1), so its connection ends too.
import HTTPTypes
package import NIOCore
package import NIOHTTP1
package import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Stands between SwiftNIO's HTTP decoder and the rest. Belongs to one channel and runs on its event loop.
package final class HTTPMessageHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPServerRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPServerResponsePart

    /// A request that was passed on, until its answer has been written.
    private struct Exchange {
        let isHTTP10: Bool
        let isHead: Bool
        /// Waits for `100 Continue` and has sent nothing of its body.
        var isWaiting: Bool
        /// The connection ends with the answer.
        var isLast: Bool
        var hasBody = true
    }

    private enum State {
        case open
        /// A request that was not passed on, or the ruins of one: nothing behind it is read.
        case refused(MessageFault?)
        /// The last answer has been written.
        case closing
    }

    /// Those that are owed an answer.
    private var exchanges: [Exchange] = []
    /// Between the head of a request and its end.
    private var isMidRequest = false
    private var state = State.open
    private let linger: TimeAmount

    /// `linger`: how long a connection that ends is read on, so that no reset overtakes the answer (RFC 9112 §9.6).
    package init(linger: TimeAmount = .seconds(2)) {
        self.linger = linger
    }

    // MARK: Requests

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .open = state else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            do {
                try MessageRules.check(head)
                let request = try HTTPRequest(received: head)
                exchanges.append(
                    Exchange(
                        isHTTP10: head.isHTTP10,
                        isHead: head.method == .HEAD,
                        isWaiting: !head.isHTTP10 && head.headers.contains(name: "expect"),
                        isLast: !head.isKeepAlive || head.isHTTP10 || head.asksForAnotherProtocol
                    )
                )
                isMidRequest = true
                context.fireChannelRead(wrapInboundOut(.head(request)))
            } catch {
                refuse(error as? MessageFault ?? .badRequest, context)
            }
        case .body(let body):
            changeLast { $0.isWaiting = false }
            context.fireChannelRead(wrapInboundOut(.body(body)))
        case .end(let trailers):
            isMidRequest = false
            changeLast { $0.isWaiting = false }
            if exchanges.last?.isLast == true { state = .refused(nil) }
            context.fireChannelRead(wrapInboundOut(.end(trailers.map { HTTPFields($0, splitCookie: false) })))
        }
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        guard case .open = state else { return }
        guard isMidRequest else { return refuse(MessageFault(error), context) }
        // What reads the body gets the error, and answers. An answer that went out before is the last.
        state = .refused(nil)
        guard !exchanges.isEmpty else { return close(context) }
        changeLast { $0.isLast = true }
        context.fireErrorCaught(error)
    }

    private func changeLast(_ change: (inout Exchange) -> Void) {
        guard !exchanges.isEmpty else { return }
        change(&exchanges[exchanges.count - 1])
    }

    private func refuse(_ fault: MessageFault, _ context: ChannelHandlerContext) {
        state = .refused(fault)
        if exchanges.isEmpty { writeRefusal(context) }
    }

    private func writeRefusal(_ context: ChannelHandlerContext) {
        guard case .refused(let fault) = state else { return }
        if let fault {
            let (head, body) = fault.answer()
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
            context.write(wrapOutboundOut(.end(nil)), promise: nil)
        }
        close(context)
    }

    // MARK: Answers

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        // Nothing is owed: a server that answers a broken connection once more.
        guard !exchanges.isEmpty else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(let response) where response.status.kind == .informational:
            guard exchanges[0].isWaiting else {
                promise?.succeed()
                return
            }
            exchanges[0].isWaiting = false
            context.write(wrapOutboundOut(.head(HTTPResponseHead(response))), promise: promise)
        case .head(let response):
            context.write(wrapOutboundOut(.head(frame(response))), promise: promise)
        case .body(let body):
            guard exchanges[0].hasBody else {
                promise?.succeed()
                return
            }
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: promise)
        case .end(let trailers):
            let exchange = exchanges.removeFirst()
            context.write(
                wrapOutboundOut(.end(exchange.hasBody ? trailers.map(HTTPHeaders.init) : nil)),
                promise: promise
            )
            if exchange.isLast {
                close(context)
            } else if exchanges.isEmpty {
                writeRefusal(context)
            }
        }
    }

    /// The head of the answer to the first request, as that request can take it.
    private func frame(_ response: HTTPResponse) -> HTTPResponseHead {
        var head = HTTPResponseHead(response)
        head.headers.remove(name: "transfer-encoding")
        let hasNone = [204, 304].contains(response.status.code)
        if hasNone { head.headers.remove(name: "content-length") }
        exchanges[0].hasBody = !hasNone && !exchanges[0].isHead
        if exchanges[0].hasBody, !head.headers.contains(name: "content-length"), !exchanges[0].isHTTP10 {
            head.headers.add(name: "transfer-encoding", value: "chunked")
        }
        if exchanges[0].isWaiting || !head.isKeepAlive { exchanges[0].isLast = true }
        if exchanges[0].isLast { head.headers.replaceOrAdd(name: "connection", value: "close") }
        return head
    }

    // MARK: The end

    private func close(_ context: ChannelHandlerContext) {
        state = .closing
        exchanges = []
        context.flush()
        context.close(mode: .output, promise: nil)
        let channel = context.channel
        context.eventLoop.assumeIsolated().scheduleTask(in: linger) { channel.close(promise: nil) }
    }
}

extension HTTPRequestHead {
    /// The decoder stops behind a request that asks for another protocol. There is none here: the request is answered
    /// as it is (RFC 9110 §7.8), and the connection ends.
    fileprivate var asksForAnotherProtocol: Bool { method == .CONNECT || headers.contains(name: "upgrade") }
}
