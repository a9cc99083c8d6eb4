// What both services know of every request before any feature looks at it.
package import Hummingbird
import Logging
package import NIOCore

/// The context of a request to either service.
package protocol WebRequestContext: RequestContext where Source == ApplicationRequestContextSource {
    /// `X-Request-ID` as the caller sent it when it is well formed, otherwise ours.
    var requestID: String { get set }
    /// The client's address, judged by `ClientAddressMiddleware`.
    var clientAddress: ClientAddress { get set }
    /// The address at the other end of the socket.
    var peerAddress: String? { get }
}
