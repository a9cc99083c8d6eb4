import AsyncHTTPClient
import NIOHTTP1

package enum IssuerRequest {
    package static let agent = "TesseraVerifier"
}

extension HTTPClientRequest {
    /// A GET that names the library (RFC 9110 §10.1.5).
    static func ofIssuer(_ url: String) -> HTTPClientRequest {
        var request = HTTPClientRequest(url: url)
        request.headers.add(name: "User-Agent", value: IssuerRequest.agent)
        return request
    }
}
