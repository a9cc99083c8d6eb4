// A request to auth, and who sent it.
package import Hummingbird
import Logging
package import NIOCore
package import ServiceKit
package import TesseraVerifierHummingbird

package struct AuthRequestContext: WebRequestContext, AuthenticatedRequestContext {
    package var coreContext: CoreRequestContextStorage
    package var requestID = ""
    package var clientAddress = ClientAddress.unknown
    package let peerAddress: String?
    /// The connection that the request came by.
    package let channel: any Channel
    /// The claims of a verified bearer token.
    package var accessToken: AccessTokenClaims?
    /// The user and session behind the token or cookie, where a route asks for one.
    package var caller: Caller?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
        self.peerAddress = source.channel.remoteAddress?.ipAddress
    }
}

/// Who is asking, however they proved it.
package struct Caller: Sendable {
    package let userID: String
    package let sessionID: String
    package let role: Role
}
