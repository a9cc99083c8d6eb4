import HTTPTypes
import ServiceKit

/// A cookie of the whole host, which scripts cannot read and other sites cannot send with a POST.
struct HostCookie: Sendable {
    let name: String
    private let prefix: RequestText
    private let isSecure: Bool

    /// `plainName` and no `Secure` for a plain http URL, which the configuration allows on the loopback only.
    init(publicURL: String, secureName: String, plainName: String) {
        isSecure = !publicURL.hasPrefix("http://")
        name = isSecure ? secureName : plainName
        prefix = RequestText("\(name)=")
    }

    /// `maxAge` in seconds; 0 removes the cookie.
    func header(value: String, maxAge: Int64) -> String {
        "\(name)=\(value); Path=/; Max-Age=\(maxAge); HttpOnly; SameSite=Lax" + (isSecure ? "; Secure" : "")
    }

    /// `nil` unless there is exactly one.
    ///
    /// SECURITY: two cookies of one name mean that one was planted. Since it is unknown which, neither counts.
    func value(in headers: HTTPFields) -> RequestText? {
        let ours = values(in: headers)
        return ours.count == 1 ? ours[0] : nil
    }

    func values(in headers: HTTPFields) -> [RequestText] {
        let pairs = headers.texts(.cookie).flatMap { $0.pieces(between: ";") }
        return pairs.compactMap { $0.trimmingSpaces.dropping(prefix: prefix) }
    }
}
