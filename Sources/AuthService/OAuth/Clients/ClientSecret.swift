// A client's secret: random, so that its SHA-256 suffices for storage, and recognisable by scanners.
//
//     tcs_ base64url( 32 random bytes ) base64url( CRC-32 of all before )
package import OpenSSLCrypto

package struct ClientSecret: Sendable {
    /// Shown once and stored nowhere.
    package let text: String
    let hash: [UInt8]

    static let prefix = "tcs_"

    package init(random: RandomSource) {
        let body = Self.prefix + Base64URL.encode(random.bytes(32))
        self.init(unchecked: body + Self.checksum(of: body))
    }

    /// `nil` for text of another form, without a look-up.
    init?(text: String) {
        guard text.utf8.count == 4 + 43 + 6, text.hasPrefix(Self.prefix),
            text.hasSuffix(Self.checksum(of: String(text.dropLast(6))))
        else { return nil }
        self.init(unchecked: text)
    }

    private init(unchecked text: String) {
        self.text = text
        self.hash = SHA256.digest(Array(text.utf8))
    }

    func matches(_ stored: [UInt8]) -> Bool { constantTimeEqual(hash, stored) }

    private static func checksum(of text: String) -> String {
        let crc = CRC32.checksum(Array(text.utf8))
        return Base64URL.encode((0..<4).map { UInt8(truncatingIfNeeded: crc >> (24 - 8 * UInt32($0))) })
    }
}
