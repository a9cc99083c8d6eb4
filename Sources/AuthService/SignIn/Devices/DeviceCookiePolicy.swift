import HTTPTypes
import ServiceKit

/// The cookie that carries a device's marker. It says nothing of the session's, and outlives it.
struct DeviceCookiePolicy: Sendable {
    private let cookie: HostCookie

    /// `__Host-tessera_device`, or `tessera_device` without Secure for a plain http URL.
    init(publicURL: String) {
        cookie = HostCookie(publicURL: publicURL, secureName: "__Host-tessera_device", plainName: "tessera_device")
    }

    func setting(_ marker: String) -> String {
        cookie.header(value: marker, maxAge: Devices.lifetime.components.seconds)
    }

    var clearing: String { cookie.header(value: "", maxAge: 0) }

    /// `nil` unless there is exactly one.
    func value(in headers: HTTPFields) -> RequestText? { cookie.value(in: headers) }

    func isCarried(by headers: HTTPFields) -> Bool { !cookie.values(in: headers).isEmpty }
}
