// Closes a connection whose client does not read its answer.
//
// An answer stays in memory until the client has read it, and a connection costs a client almost nothing. So while the
// channel is not writable, the client must read a share of bytes in every interval: that of a slow mobile line. RFC
// 9112 §9.6 leaves the timeout to servers.
package import NIOCore
package import NIOHTTPTypes

/// Sits between the HTTP decoder and the server, and runs on its channel's event loop.
package final class AnswerDeadlineHandler: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart

    private let limit: TimeAmount
    /// Bytes to read in each interval, unless fewer are left.
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
            // The channel was never writable, so everything written meanwhile waits too and does not count.
            guard before - Self.waiting(channel) >= self.share else { return channel.close(promise: nil) }
            self.look(at: channel, on: eventLoop)
        }
    }

    private static func waiting(_ channel: any Channel) -> Int {
        (try? channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
    }

    private func stop() {
        timer?.cancel()
        timer = nil
    }
}
