import HTTPTypes
import OpenSSLCrypto
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
    init?(value: String) {
        guard let secret = Base64URL.decode(value), secret.count == 32 else { return nil }
        self.init(secret: secret)
    }
}

package struct SessionCookiePolicy: Sendable {
    let name: String
    private let isSecure: Bool

    /// `__Host-tessera`, or `tessera_dev` without Secure for a plain http URL, which the configuration allows on the
    /// loopback only.
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

    /// `nil` unless there is exactly one.
    ///
    /// SECURITY: two cookies of one name mean that one was planted. Since it is unknown which, neither counts.
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
