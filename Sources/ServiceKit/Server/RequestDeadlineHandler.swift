// Drops a connection whose request does not arrive whole in time.
//
// A client that trickles a byte a second keeps every per-read idle timer happy and a connection busy for ever. The
// clock here starts when the connection opens and again after each answer, and stops only at the end of a request.
package import NIOCore
package import NIOHTTPTypes

/// Sits between the HTTP decoder and the server. Belongs to one channel and runs on its event loop.
package final class RequestDeadlineHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private let limit: TimeAmount
    /// When the request that is awaited must be whole; `nil` while one is being answered.
    private var deadline: NIODeadline?
    /// One for many requests: it looks again at the deadline when it goes off, which is cheaper than a timer for each.
    private var timer: Scheduled<Void>?

    package init(limit: TimeAmount = .seconds(30)) {
        self.limit = limit
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { start(context.channel, on: context.eventLoop) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        start(context.channel, on: context.eventLoop)
        context.fireChannelActive()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if case .end = unwrapInboundIn(data) { deadline = nil }
        context.fireChannelRead(data)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .end = unwrapOutboundIn(data) { start(context.channel, on: context.eventLoop) }
        context.write(data, promise: promise)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        stop()
    }

    private func start(_ channel: any Channel, on eventLoop: any EventLoop) {
        deadline = .now() + limit
        if timer == nil { look(at: channel, on: eventLoop, in: limit) }
    }

    private func look(at channel: any Channel, on eventLoop: any EventLoop, in delay: TimeAmount) {
        timer = eventLoop.assumeIsolated().scheduleTask(in: delay) {
            self.timer = nil
            // A request that is being answered starts the clock again with its answer.
            guard let deadline = self.deadline else { return }
            let left = deadline - .now()
            guard left > .zero else { return channel.close(promise: nil) }
            self.look(at: channel, on: eventLoop, in: left)
        }
    }

    private func stop() {
        deadline = nil
        timer?.cancel()
        timer = nil
    }
}
