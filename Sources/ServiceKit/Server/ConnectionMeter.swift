// Counts accepted connections for /metrics. Requests alone do not show clients that connect and send nothing.
package import Metrics
package import NIOCore
package import NIOHTTPTypes

package final class ConnectionMeter: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart

    private let counter: Counter
    private let places: ConnectionPlaces
    private var place: ConnectionPlace?

    package init(counter: Counter, places: ConnectionPlaces) {
        self.counter = counter
        self.places = places
    }

    package static func counter(service: String) -> Counter {
        Counter(label: "tessera_http_connections_total", dimensions: [("service", service)])
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        counter.increment()
        if context.channel.isActive { enter(context) }
    }

    package func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        enter(context)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        // The channel is closed by now.
        place = nil
    }

    private func enter(_ context: ChannelHandlerContext) {
        let place = places.enter(context.remoteAddress?.ipAddress)
        self.place = place
        if !place.isAllowed { context.close(promise: nil) }
    }
}
