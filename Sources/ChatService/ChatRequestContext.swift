import HTTPTypes
package import Hummingbird
package import NIOCore
package import ServiceKit
package import TesseraVerifierHummingbird

package struct ChatRequestContext: WebRequestContext, AuthenticatedRequestContext {
    package var coreContext: CoreRequestContextStorage
    package var requestID = ""
    package var clientAddress = ClientAddress.unknown
    package var target = RequestTarget.unread
    package var query = QueryParameters.empty
    package let peerAddress: String?
    package let channel: any Channel
    package var accessToken: AccessTokenClaims?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
        self.peerAddress = source.channel.remoteAddress?.ipAddress
    }
}

extension ChatRequestContext {
    /// The route must be mounted behind the verifier's middleware.
    var caller: Caller {
        get throws(APIError) {
            guard let accessToken else { throw APIError(.tokenMissing) }
            // No row can have such an id.
            guard RowID.isValid(accessToken.subject) else {
                throw APIError(
                    .tokenInvalid,
                    headers: [.wwwAuthenticate: "Bearer realm=\"tessera\", error=\"invalid_token\""]
                )
            }
            return Caller(
                id: accessToken.subject,
                kind: accessToken.kind ?? "user",
                role: accessToken.role ?? "user"
            )
        }
    }
}

package struct Caller: Sendable, Hashable {
    /// The token's `sub`.
    package let id: String
    /// `user` or `guest`.
    package let kind: String
    /// `user`, `premium` or `admin`.
    package let role: String

    package init(id: String, kind: String, role: String = "user") {
        self.id = id
        self.kind = kind
        self.role = role
    }
}

/// Limits of a request body, in bytes.
enum BodyLimits {
    /// Of one that carries messages: what is written in one transaction (docs/decisions/0039-one-write.md).
    static let messages = 1024 * 1024
    static let fields = 64 * 1024
    static let model = 256
}

/// Converts the verifier's refusals. The names are the same on purpose.
enum TokenRefusal {
    static func apiError(_ failure: TokenFailure) -> any Error {
        APIError(ErrorCode(rawValue: failure.reason.rawValue) ?? .tokenInvalid, headers: failure.headers)
    }
}
