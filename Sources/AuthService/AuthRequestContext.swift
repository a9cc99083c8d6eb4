package import Hummingbird
import Logging
package import NIOCore
package import ServiceKit
package import TesseraVerifierHummingbird

package struct AuthRequestContext: WebRequestContext, AuthenticatedRequestContext {
    package var coreContext: CoreRequestContextStorage
    package var requestID = ""
    package var clientAddress = ClientAddress.unknown
    package var target = RequestTarget.unread
    package var query = QueryParameters.empty
    package let peerAddress: String?
    package let channel: any Channel
    package var accessToken: AccessTokenClaims?
    package var caller: Caller?
    /// Of a request with an `Idempotency-Key`, behind `IdempotencyMiddleware`.
    package var attempt: IdempotentAttempt?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
        self.peerAddress = source.channel.remoteAddress?.ipAddress
    }
}

package struct Caller: Sendable {
    package let userID: String
    package let sessionID: String
    package let role: Role
}
