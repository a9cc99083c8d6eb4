package import Hummingbird
import Logging
import NIOCore

package protocol WebRequestContext: RequestContext where Source == ApplicationRequestContextSource {
    /// The caller's `X-Request-ID` if it is well formed, otherwise ours.
    var requestID: String { get set }
    var clientAddress: ClientAddress { get set }
    /// The address at the other end of the socket.
    var peerAddress: String? { get }
}
