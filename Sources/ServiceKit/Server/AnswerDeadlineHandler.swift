// Drops a connection whose client does not take its answer.
//
// An answer stands in memory until the client has read it. One that asks for the largest page and then reads nothing
// would keep it there for ever, and one connection costs a client next to nothing. So while more waits to be sent than
// a connection buffers (its channel is not writable), the client must take some of it in every span of time. How much
// is a slow mobile line's share (RFC 9110 leaves it to servers when to give up, section 9.6 of RFC 9112).
package import NIOCore
package import NIOHTTPTypes

/// Sits between the HTTP decoder and the server. Belongs to one channel and runs on its event loop.
package final class AnswerDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart

    private let limit: TimeAmount
    /// Bytes to take in that time, unless fewer are left.
    private let share: Int
    private var timer: Scheduled<Void>?

    package init(limit: TimeAmount = .seconds(30), share: Int = 1 << 20) {
        self.limit = limit
        self.share = share
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            stop()
        } else if timer == nil {
            look(at: context.channel, on: context.eventLoop)
        }
        context.fireChannelWritabilityChanged()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        stop()
        context.fireChannelInactive()
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        stop()
    }

    private func look(at channel: any Channel, on eventLoop: any EventLoop) {
        let before = Self.waiting(channel)
        timer = eventLoop.assumeIsolated().scheduleTask(in: limit) {
            self.timer = nil
            // Not writable all the while, so whatever was written since then waits too: nothing of it makes up for this.
            guard before - Self.waiting(channel) >= self.share else { return channel.close(promise: nil) }
            self.look(at: channel, on: eventLoop)
        }
    }

    /// Bytes that were written and not yet taken.
    private static func waiting(_ channel: any Channel) -> Int {
        (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func stop() {
        timer?.cancel()
        timer = nil
    }
}
