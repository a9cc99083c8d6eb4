import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage

package struct SessionCookie: Sendable {
    let secret: [UInt8]
    let hash: [UInt8]

    init(random: RandomSource) {
        self.init(secret: random.bytes(32))
    }

    private init(secret: [UInt8]) {
        self.secret = secret
        self.hash = SHA256.digest(secret)
    }

    /// `nil` for a value of another form.
    init?(value: RequestText) {
        guard let secret = Base64URL.decode(value.verbatim), secret.count == 32 else { return nil }
        self.init(secret: secret)
    }
}

package struct SessionCookiePolicy: Sendable {
    let name: String
    private let prefix: RequestText
    private let isSecure: Bool

    /// `__Host-tessera`, or `tessera_dev` without Secure for a plain http URL, which the configuration allows on the
    /// loopback only.
    init(publicURL: String) {
        self.isSecure = !publicURL.hasPrefix("http://")
        self.name = Self.name(at: publicURL)
        self.prefix = RequestText("\(name)=")
    }

    /// The name at a public URL, for the contract.
    package static func name(at publicURL: String) -> String {
        publicURL.hasPrefix("http://") ? "tessera_dev" : "__Host-tessera"
    }

    func setting(_ cookie: SessionCookie, maxAge: Duration) -> String {
        header(value: Base64URL.encode(cookie.secret), maxAge: maxAge.components.seconds)
    }

    var clearing: String { header(value: "", maxAge: 0) }

    private func header(value: String, maxAge: Int64) -> String {
        "\(name)=\(value); Path=/; Max-Age=\(maxAge); HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "")
    }

    /// `nil` unless there is exactly one.
    ///
    /// SECURITY: two cookies of one name mean that one was planted. Since it is unknown which, neither counts.
    func value(in headers: HTTPFields) -> RequestText? {
        let ours = values(in: headers)
        return ours.count == 1 ? ours[0] : nil
    }

    func isCarried(by headers: HTTPFields) -> Bool { !values(in: headers).isEmpty }

    private func values(in headers: HTTPFields) -> [RequestText] {
        let pairs = headers.texts(.cookie).flatMap { $0.pieces(between: ";") }
        return pairs.compactMap { $0.trimmingSpaces.dropping(prefix: prefix) }
    }
}
