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
    private let cookie: HostCookie

    /// `__Host-tessera`, or `tessera_dev` without Secure for a plain http URL.
    init(publicURL: String) {
        cookie = HostCookie(publicURL: publicURL, secureName: "__Host-tessera", plainName: "tessera_dev")
    }

    /// The name at a public URL, for the contract.
    package static func name(at publicURL: String) -> String { Self(publicURL: publicURL).name }

    var name: String { cookie.name }

    func setting(_ session: SessionCookie, maxAge: Duration) -> String {
        cookie.header(value: Base64URL.encode(session.secret), maxAge: maxAge.components.seconds)
    }

    var clearing: String { cookie.header(value: "", maxAge: 0) }

    /// `nil` unless there is exactly one.
    func value(in headers: HTTPFields) -> RequestText? { cookie.value(in: headers) }

    func isCarried(by headers: HTTPFields) -> Bool { !cookie.values(in: headers).isEmpty }
}
