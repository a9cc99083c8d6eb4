// What stands between the HTTP decoder and the service in the pipeline of each connection.
import Metrics
package import NIOCore

extension ConnectionPlaces {
    /// The handlers of one connection of a server, in their order.
    package func handlers(service: String) -> @Sendable () -> [any RemovableChannelHandler] {
        let counter = ConnectionMeter.counter(service: service)
        return { [self] in
            [
                ConnectionMeter(counter: counter, places: self),
                RequestTurns(),
                RequestDeadlineHandler(limit: TimeAmount(limits.requestTimeout)),
                AnswerDeadlineHandler(limit: TimeAmount(limits.writeTimeout)),
            ]
        }
    }
}
