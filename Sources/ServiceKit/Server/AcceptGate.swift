// Stops accepting while the process has as many connections as it may, or no descriptor for one more.
import Logging
package import NIOCore

#if canImport(Glibc)
    import Glibc
#endif

/// Sits in front of a listening channel's other handlers. NIO's own wait a second after an error and accept again.
final class AcceptGate: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never
    typealias OutboundOut = Never

    private let places: ConnectionPlaces
    private var isWaiting = false

    init(_ places: ConnectionPlaces) {
        self.places = places
    }

    func read(context: ChannelHandlerContext) {
        guard !isWaiting else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let eventLoop = context.eventLoop
        let hasRoom = places.hasRoom {
            eventLoop.execute {
                let (gate, context) = bound.value
                gate.isWaiting = false
                if context.channel.isActive { gate.read(context: context) }
            }
        }
        if hasRoom { context.read() } else { isWaiting = true }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let error = error as? IOError, [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(error.errnoCode) {
            places.sayPause("the system has none to give", ["error": "\(String(cString: strerror(error.errnoCode)))"])
        }
        context.fireErrorCaught(error)
    }
}

extension ConnectionPlaces {
    /// Lets a listening channel accept no more than these places.
    package func guardAccepting(of channel: any Channel) async throws {
        try await channel.eventLoop.submit {
            // Of each connection, since its window is agreed upon as it opens: what a client can make the channel read
            // that it has not asked for, when the client closes.
            try channel.syncOptions?.setOption(.socketOption(.so_rcvbuf), value: 256 << 10)
            try channel.pipeline.syncOperations.addHandler(AcceptGate(self), position: .first)
        }.get()
    }
}
