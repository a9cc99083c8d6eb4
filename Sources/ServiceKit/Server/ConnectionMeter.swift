// Counts accepted connections for /metrics. Requests alone do not show clients that connect and send nothing.
package import Metrics
package import NIOCore
package import NIOHTTPTypes

package final class ConnectionMeter: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart

    private let counter: Counter

    package init(counter: Counter) {
        self.counter = counter
    }

    package static func counter(service: String) -> Counter {
        Counter(label: "tessera_http_connections_total", dimensions: [("service", service)])
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        counter.increment()
    }
}
