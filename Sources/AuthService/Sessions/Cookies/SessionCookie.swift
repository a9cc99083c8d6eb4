// The browser's way to carry a session.
//
// SECURITY: the `__Host-` prefix makes browsers refuse the cookie unless it is Secure, has Path=/ and no Domain, so
// no sibling host can plant one (RFC 6265bis §4.1.3.2). HttpOnly keeps scripts from it, SameSite=Lax keeps other
// sites' POSTs from sending it. Only its SHA-256 is stored: a read of the database is not a login.
package import HTTPTypes
package import OpenSSLCrypto
package import Storage

/// 32 random bytes that open one session.
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

    /// Reads a cookie's value; `nil` when it has not the shape of one.
    init?(value: String) {
        guard let secret = Base64URL.decode(value), secret.count == 32 else { return nil }
        self.init(secret: secret)
    }
}

/// How this deployment names and writes the cookie.
package struct SessionCookiePolicy: Sendable {
    let name: String
    private let isSecure: Bool

    /// `__Host-tessera`, or `tessera_dev` without Secure when the public URL is plain http (a loopback one: the
    /// configuration refuses any other).
    init(publicURL: String) {
        self.isSecure = !publicURL.hasPrefix("http://")
        self.name = isSecure ? "__Host-tessera" : "tessera_dev"
    }

    func setting(_ cookie: SessionCookie, maxAge: Duration) -> String {
        header(value: Base64URL.encode(cookie.secret), maxAge: maxAge.components.seconds)
    }

    var clearing: String { header(value: "", maxAge: 0) }

    private func header(value: String, maxAge: Int64) -> String {
        "\(name)=\(value); Path=/; Max-Age=\(maxAge); HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "")
    }

    /// The value of our cookie in a request, when there is exactly one.
    ///
    /// SECURITY: two cookies of one name mean that somebody planted one; which is ours cannot be known, so neither is.
    func value(in headers: HTTPFields) -> String? {
        let pairs = headers[values: .cookie].flatMap { $0.split(separator: ";") }
        let ours = pairs.compactMap { pair -> String? in
            let trimmed = pair.drop { $0 == " " }
            guard trimmed.hasPrefix("\(name)=") else { return nil }
            return String(trimmed.dropFirst(name.count + 1))
        }
        return ours.count == 1 ? ours[0] : nil
    }

    func isCarried(by headers: HTTPFields) -> Bool {
        headers[values: .cookie].contains { $0.contains("\(name)=") }
    }
}
