// Counts connections as they are accepted, for /metrics. Requests alone do not tell whether somebody calls: a client may
// connect and say nothing.
package import Metrics
package import NIOCore
package import NIOHTTPTypes

/// Sits in the pipeline of one connection, and has nothing to do after it was added.
package final class ConnectionMeter: ChannelInboundHandler, RemovableChannelHandler {
    package typealias InboundIn = HTTPRequestPart

    private let counter: Counter

    /// One counter is shared by all connections of a server.
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
