// The refresh token: opaque, authenticated, and not stored.
//
//     tsr_ base64url( key id 1 ‖ row id 16 ‖ generation 4, big-endian ‖ secret 32 ) base64url( CRC-32 of all before )
//     secret = HMAC-SHA256(K, "tessera-refresh-v1" ‖ key id ‖ row id ‖ generation)
//
// HKDF derives K from the key of the master ring that the key id names. A leaked database makes no token without K. K
// makes none without row ids, which appear neither in logs nor in the API. The checksum only lets scanners recognise a
// leaked token.
import OpenSSLCrypto
import ServiceKit

/// Its secret has been verified, or was made here.
struct RefreshToken: Sendable, Hashable {
    let keyID: UInt8
    /// 16 bytes; `refresh_tokens.id` is its hex form.
    let rowID: [UInt8]
    let generation: UInt32

    fileprivate static let prefix = "tsr_"

    /// Whether a text begins as a refresh token does, good or not.
    static func isOne(_ text: RequestText) -> Bool { text.begins(with: RequestText(prefix)) }

    var rowKey: String { Hex.encode(rowID) }

    /// The successor keeps the key id, so that nodes with different ring orders compute the same one.
    var successor: RefreshToken {
        RefreshToken(keyID: keyID, rowID: rowID, generation: generation &+ 1)
    }

    fileprivate var head: [UInt8] {
        [keyID] + rowID + withUnsafeBytes(of: generation.bigEndian) { Array($0) }
    }
}

struct RefreshTokenCodec: Sendable {
    private let keys: [UInt8: HMACSHA256Key]
    private let primary: UInt8
    /// SECURITY: the prefix of the authenticated text, so that no code for another purpose fits a token.
    private static let context = Array("tessera-refresh-v1".utf8)
    private static let retryContext = Array("tessera-retry-v1".utf8)

    init(ring: MasterKeyRing) {
        self.keys = Dictionary(
            ring.keys.map { ($0.id, HMACSHA256Key($0.derive("tessera-refresh-v1"))) },
            uniquingKeysWith: { first, _ in first }
        )
        self.primary = ring.primary.id
    }

    /// Generation 0, for a new row.
    func first(random: RandomSource) -> RefreshToken {
        RefreshToken(keyID: primary, rowID: random.bytes(16), generation: 0)
    }

    func encode(_ token: RefreshToken) -> String {
        // The ring never loses a key while the process runs, and every token uses one of it.
        let secret = self.secret(of: token) ?? []
        let text = RefreshToken.prefix + Base64URL.encode(token.head + secret)
        return text + Self.checksum(of: text)
    }

    enum Reading {
        case authentic(RefreshToken)
        /// Of the right form. Nothing more is known: this ring lacks the key.
        case otherKey(UInt8)
        /// The key of this ring with this id did not make it.
        case forged(keyID: UInt8)
        case malformed
    }

    /// The token, if the secret belongs to id and generation; a wrong one costs the same.
    func read(_ text: RequestText) -> Reading {
        guard text.byteCount == 4 + 71 + 6, RefreshToken.isOne(text) else { return .malformed }
        let bytes = Array(text.utf8)
        let signed = String(decoding: bytes.dropLast(6), as: UTF8.self)
        guard String(decoding: bytes.suffix(6), as: UTF8.self) == Self.checksum(of: signed),
            let body = Base64URL.decode(String(decoding: bytes[4..<75], as: UTF8.self)), body.count == 53
        else { return .malformed }
        let generation = body[17..<21].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let token = RefreshToken(keyID: body[0], rowID: Array(body[1..<17]), generation: generation)
        guard let secret = secret(of: token) else { return .otherKey(token.keyID) }
        // SECURITY: constant time. A forged token is refused without a look-up, and changes nothing.
        return constantTimeEqual(secret, Array(body[21...])) ? .authentic(token) : .forged(keyID: token.keyID)
    }

    private func secret(of token: RefreshToken) -> [UInt8]? {
        guard let key = keys[token.keyID] else { return nil }
        return key.authenticationCode(for: Self.context + token.head)
    }

    /// What the row keeps of a retry key: bound to the token that it was sent with, so that a key which a client uses
    /// for every token fits one rotation alone.
    func hash(of key: RetryKey, for token: RefreshToken) -> [UInt8]? {
        keys[token.keyID]?.authenticationCode(for: Self.retryContext + token.head + key.bytes)
    }

    private static func checksum(of text: String) -> String {
        let crc = CRC32.checksum(Array(text.utf8))
        return Base64URL.encode(withUnsafeBytes(of: crc.bigEndian) { Array($0) })
    }
}
