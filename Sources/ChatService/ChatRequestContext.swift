// A request to chat, and who sent it.
import HTTPTypes
package import Hummingbird
package import NIOCore
package import ServiceKit
package import TesseraVerifierHummingbird

package struct ChatRequestContext: WebRequestContext, AuthenticatedRequestContext {
    package var coreContext: CoreRequestContextStorage
    package var requestID = ""
    package var clientAddress = ClientAddress.unknown
    package let peerAddress: String?
    package let channel: any Channel
    /// The claims of the verified bearer token.
    package var accessToken: AccessTokenClaims?

    package init(source: ApplicationRequestContextSource) {
        self.coreContext = .init(source: source)
        self.channel = source.channel
        self.peerAddress = source.channel.remoteAddress?.ipAddress
    }
}

extension ChatRequestContext {
    /// The user behind the token; every route that asks is mounted behind the verifier's middleware.
    var caller: Caller {
        get throws(APIError) {
            guard let accessToken else { throw APIError(.tokenMissing) }
            // An id that no table could hold is nobody's.
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

    /// An id from the path; anything that cannot be an id is simply not there.
    func id(_ name: String) throws(APIError) -> String {
        guard let id = parameters.get(name), RowID.isValid(id) else { throw APIError(.notFound) }
        return id
    }
}

/// The person behind a request, as the token says.
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

/// What a request body may weigh, in bytes.
enum BodyLimits {
    /// Bodies that carry messages.
    static let messages = 8 * 1024 * 1024
    /// Bodies that carry a row's own fields.
    static let fields = 64 * 1024
    /// The name of a model.
    static let model = 256
}

/// The verifier's refusals as problems of this service. The names are the same on purpose.
enum TokenRefusal {
    static func apiError(_ failure: TokenFailure) -> any Error {
        APIError(ErrorCode(rawValue: failure.reason.rawValue) ?? .tokenInvalid, headers: failure.headers)
    }
}
