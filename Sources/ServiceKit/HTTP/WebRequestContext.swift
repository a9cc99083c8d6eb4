package import Hummingbird
import Logging
package import NIOCore

package protocol WebRequestContext: RequestContext where Source == ApplicationRequestContextSource {
    /// The caller's `X-Request-ID` if it is well formed, otherwise ours.
    var requestID: String { get set }
    var clientAddress: ClientAddress { get set }
    /// The address at the other end of the socket.
    var peerAddress: String? { get }
    /// The connection that the request came by.
    var channel: any Channel { get }
    /// Where the request goes, read by `ServiceResponder`.
    var target: RequestTarget { get set }
    /// What the operation takes in its query; empty before the operation is reached.
    var query: QueryParameters { get set }
}

extension WebRequestContext {
    /// A segment of the path, decoded.
    package func segment(_ name: String) throws(APIError) -> RequestText {
        guard let segment = parameters[name[...]],
            let text = try? PercentEncoding.decode(segment.utf8, plusIsSpace: false)
        else { throw APIError(.notFound) }
        return RequestText(text)
    }

    /// An id from the path; anything that cannot be an id is simply not there.
    package func id(_ name: String = "id") throws(APIError) -> String {
        let id = try segment(name)
        guard RowID.isValid(id) else { throw APIError(.notFound) }
        return id.verbatim
    }
}
