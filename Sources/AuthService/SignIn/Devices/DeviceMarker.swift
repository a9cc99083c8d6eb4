// The marker of a device: it proves that a user has signed in there before, and never who asks.
//
//     tsd_ base64url( key id 1 ‖ device 16 ‖ seconds since 1970, 8 ‖ code 32 ‖ user id )
//     code = HMAC-SHA256(K, "tessera-device-v1" ‖ key id ‖ device ‖ seconds ‖ user id)
//
// HKDF derives K from the key of the master ring that the key id names, so markers stay good while a ring is rolled. A
// marker counts only while its row is there: a copy of the ring alone makes none.
import OpenSSLCrypto
import ServiceKit
import Storage

/// Its code has been verified, or was made here.
struct DeviceMarker: Sendable, Hashable {
    /// 16 bytes; `devices.id` is its hex form.
    let device: [UInt8]
    let user: String
    /// When it was issued.
    let seconds: Int64

    var deviceKey: String { Hex.encode(device) }
}

struct DeviceMarkerCodec: Sendable {
    private let keys: [UInt8: HMACSHA256Key]
    private let primary: UInt8
    /// SECURITY: the prefix of the authenticated text, so that no code for another purpose fits a marker.
    private static let context = Array("tessera-device-v1".utf8)
    private static let prefix = "tsd_"
    private static let headCount = 1 + 16 + 8
    private static let codeCount = 32
    /// Characters of a marker; no user's id is as long.
    static let maxLength = 512

    init(ring: MasterKeyRing) {
        keys = Dictionary(
            ring.keys.map { ($0.id, HMACSHA256Key($0.derive("tessera-device-v1"))) },
            uniquingKeysWith: { first, _ in first }
        )
        primary = ring.primary.id
    }

    func encode(_ marker: DeviceMarker) -> String {
        let head = [primary] + marker.device + withUnsafeBytes(of: marker.seconds.bigEndian) { Array($0) }
        let user = Array(marker.user.utf8)
        // The ring never loses a key while the process runs.
        let code = keys[primary]?.authenticationCode(for: Self.context + head + user) ?? []
        return Self.prefix + Base64URL.encode(head + code + user)
    }

    /// `nil` unless the code belongs to the rest.
    func decode(_ text: RequestText) -> DeviceMarker? {
        guard text.byteCount <= Self.maxLength, text.begins(with: RequestText(Self.prefix)),
            let bytes = Base64URL.decode(String(decoding: text.utf8.dropFirst(Self.prefix.utf8.count), as: UTF8.self)),
            bytes.count > Self.headCount + Self.codeCount
        else { return nil }
        let head = Array(bytes.prefix(Self.headCount))
        let code = Array(bytes[Self.headCount..<Self.headCount + Self.codeCount])
        let user = Array(bytes.dropFirst(Self.headCount + Self.codeCount))
        // SECURITY: constant time. A forged marker costs no query.
        guard let key = keys[head[0]],
            constantTimeEqual(key.authenticationCode(for: Self.context + head + user), code)
        else { return nil }
        let seconds = head[17..<25].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return DeviceMarker(
            device: Array(head[1..<17]),
            user: String(decoding: user, as: UTF8.self),
            seconds: Int64(bitPattern: seconds)
        )
    }
}
