// A client's secret: random, so that its SHA-256 suffices for storage, and recognisable by scanners.
//
//     tcs_ base64url( 32 random bytes ) base64url( CRC-32 of all before )
package import OpenSSLCrypto
import ServiceKit

package struct ClientSecret: Sendable {
    /// Shown once and stored nowhere.
    package let text: String
    let hash: [UInt8]

    static let prefix = "tcs_"

    package init(random: RandomSource) {
        let body = Self.prefix + Base64URL.encode(random.bytes(32))
        self.init(unchecked: Self.checked(body))
    }

    /// `nil` for text of another form, without a look-up.
    init?(text: RequestText) {
        guard text.byteCount == 4 + 43 + 6, text.begins(with: RequestText(Self.prefix)),
            text == RequestText(Self.checked(text.prefix(bytes: 4 + 43).verbatim))
        else { return nil }
        self.init(unchecked: text.verbatim)
    }

    private init(unchecked text: String) {
        self.text = text
        self.hash = SHA256.digest(Array(text.utf8))
    }

    func matches(_ stored: [UInt8]) -> Bool { constantTimeEqual(hash, stored) }

    private static func checked(_ body: String) -> String { body + checksum(of: body) }

    private static func checksum(of text: String) -> String {
        let crc = CRC32.checksum(Array(text.utf8))
        return Base64URL.encode((0..<4).map { UInt8(truncatingIfNeeded: crc >> (24 - 8 * UInt32($0))) })
    }
}
