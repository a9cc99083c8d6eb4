import HTTPTypes
import OpenSSLCrypto
import ServiceKit

enum ClientCredentials: Sendable {
    /// At most a name: a public client (RFC 6749 §2.1).
    case none(clientID: RequestText?)
    /// `client_secret_basic` or `client_secret_post`.
    case secret(clientID: RequestText, secret: RequestText)
    /// `private_key_jwt` (RFC 7523 §2.2). Its subject names the client; `client_id` may repeat it.
    case assertion(RequestText, clientID: RequestText?)

    private static let assertionType: RequestText = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    init(_ headers: HTTPFields, _ form: FormBody) throws(OAuthError) {
        let basic = try Self.basic(headers)
        let (id, secret, assertion) = (form["client_id"], form["client_secret"], form["client_assertion"])
        // §2.3: "The client MUST NOT use more than one authentication method in each request."
        guard [basic != nil, secret != nil, assertion != nil].count(where: \.self) <= 1 else {
            throw OAuthError(.invalidRequest, "more than one way of client authentication")
        }
        if let basic {
            guard id == nil || id == basic.id else { throw .invalidClient }
            self = .secret(clientID: basic.id, secret: basic.secret)
        } else if let assertion {
            guard form["client_assertion_type"] == Self.assertionType else {
                throw OAuthError(.invalidRequest, "client_assertion_type is missing or unknown")
            }
            self = .assertion(assertion, clientID: id)
        } else if let secret {
            guard let id else { throw OAuthError(.invalidRequest, "client_id is missing") }
            self = .secret(clientID: id, secret: secret)
        } else {
            self = .none(clientID: id)
        }
    }

    /// §2.3.1: both halves are form-encoded separately.
    private static func basic(_ headers: HTTPFields) throws(OAuthError) -> (id: RequestText, secret: RequestText)? {
        let values = headers.texts(.authorization)
        guard let value = values.first else { return nil }
        let parts = value.pieces(between: " ")
        // SECURITY: a proxy may have judged the other one of two headers.
        guard values.count == 1, parts.count == 2, parts[0].keyword == "basic",
            let bytes = Base64.decode(parts[1].verbatim)
        else { throw .invalidClient }
        let halves = bytes.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, let id = FormBody.decode(halves[0]), let secret = FormBody.decode(halves[1]) else {
            throw .invalidClient
        }
        return (id, secret)
    }
}

extension OAuthError {
    /// SECURITY: one answer for an unknown client, a wrong secret and a disabled client, so that guesses reveal
    /// nothing.
    static let invalidClient = OAuthError(.invalidClient, "client authentication failed")
}
