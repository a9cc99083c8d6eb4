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
        if case .end = unwrapInboundIn(data) { stop() }
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
        stop()
        timer = eventLoop.scheduleTask(in: limit) { channel.close(promise: nil) }
    }

    private func stop() {
        timer?.cancel()
        timer = nil
    }
}
