// Requests to the issuer: for its keys, for tokens, for its feed.
import AsyncHTTPClient
import NIOHTTP1

/// How the library names itself to the issuer.
package enum IssuerRequest {
    package static let agent = "TesseraVerifier"
}

extension HTTPClientRequest {
    /// A GET of one of the issuer's addresses, with the name of the library (RFC 9110 §10.1.5).
    static func ofIssuer(_ url: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "User-Agent", value: IssuerRequest.agent)
        return request
    }
}
