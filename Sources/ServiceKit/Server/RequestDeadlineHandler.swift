// Closes a connection whose request does not arrive complete in time.
//
// A client that sends a byte a second passes every per-read idle timer. This clock starts when the connection opens and
// after each answer, and stops at the end of a request.
package import NIOCore
package import NIOHTTPTypes

/// Sits between the HTTP decoder and the server, and runs on its channel's event loop.
package final class RequestDeadlineHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart
    package typealias InboundOut = HTTPRequestPart
    package typealias OutboundIn = HTTPResponsePart
    package typealias OutboundOut = HTTPResponsePart

    private let limit: TimeAmount
    /// The deadline of the next request; `nil` while one is being answered.
    private var deadline: NIODeadline?
    /// One timer for many requests: it checks the deadline again when it fires, which is cheaper than one each.
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

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        // A client that has just taken its answer is not late with its next request.
        if context.channel.isWritable, deadline != nil { start(context.channel, on: context.eventLoop) }
        context.fireChannelWritabilityChanged()
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
            // The answer restarts the clock.
            guard let deadline = self.deadline else { return }
            // Its answer is under way, and AnswerDeadlineHandler looks after that.
            let left = channel.isWritable ? deadline - .now() : self.limit
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
