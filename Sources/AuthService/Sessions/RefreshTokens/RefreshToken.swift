// The refresh token: opaque, authenticated, and nothing of it stored.
//
//     tsr_ base64url( key id 1 ‖ row id 16 ‖ generation 4, big-endian ‖ secret 32 ) base64url( CRC-32 of all before )
//     secret = HMAC-SHA256(K, "tessera-refresh-v1" ‖ key id ‖ row id ‖ generation)
//
// K is derived by HKDF from the key of the master ring that the key id names. A leaked database mints nothing without
// K; K mints nothing without row ids, which appear nowhere else: not in logs, not in the API. The checksum lets
// scanners recognise a leaked token; it proves nothing, the HMAC does.
import OpenSSLCrypto

/// A refresh token whose secret has been verified, or that was made here.
struct RefreshToken: Sendable, Hashable {
    let keyID: UInt8
    /// 16 bytes; `refresh_tokens.id` is its hex form.
    let rowID: [UInt8]
    let generation: UInt32

    static let prefix = "tsr_"

    var rowKey: String { Hex.encode(rowID) }

    /// The token that follows. It keeps the key id of the one presented, so that nodes whose rings begin with
    /// different keys compute the same successor.
    var successor: RefreshToken {
        RefreshToken(keyID: keyID, rowID: rowID, generation: generation &+ 1)
    }

    fileprivate var head: [UInt8] {
        [keyID] + rowID + withUnsafeBytes(of: generation.bigEndian) { Array($0) }
    }
}

/// Makes and verifies refresh tokens with the keys of the master ring.
struct RefreshTokenCodec: Sendable {
    private let keys: [UInt8: HMACSHA256Key]
    private let primary: UInt8
    /// SECURITY: in front of what is authenticated, so that no code made for another purpose fits a token.
    private static let context = Array("tessera-refresh-v1".utf8)

    init(ring: MasterKeyRing) {
        self.keys = Dictionary(
            ring.keys.map { ($0.id, HMACSHA256Key($0.derive("tessera-refresh-v1"))) },
            uniquingKeysWith: { first, _ in first }
        )
        self.primary = ring.primary.id
    }

    /// A first token, of generation 0, for a new row.
    func first(random: RandomSource) -> RefreshToken {
        RefreshToken(keyID: primary, rowID: random.bytes(16), generation: 0)
    }

    func encode(_ token: RefreshToken) -> String {
        // The ring never loses a key while the process runs, and tokens are made or verified with one of it.
        let secret = self.secret(of: token) ?? []
        let text = RefreshToken.prefix + Base64URL.encode(token.head + secret)
        return text + Self.checksum(of: text)
    }

    /// The token, if its secret is the one that belongs to its id and generation; otherwise `nil`, at the same cost.
    func decode(_ text: String) -> RefreshToken? {
        let bytes = Array(text.utf8)
        guard bytes.count == 4 + 71 + 6, text.hasPrefix(RefreshToken.prefix) else { return nil }
        let signed = String(decoding: bytes.dropLast(6), as: UTF8.self)
        guard String(decoding: bytes.suffix(6), as: UTF8.self) == Self.checksum(of: signed),
            let body = Base64URL.decode(String(decoding: bytes[4..<75], as: UTF8.self)), body.count == 53
        else { return nil }
        let generation = body[17..<21].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let token = RefreshToken(keyID: body[0], rowID: Array(body[1..<17]), generation: generation)
        // SECURITY: constant time; a forged token is refused before anything is looked up, and changes nothing.
        guard let secret = secret(of: token), constantTimeEqual(secret, Array(body[21...])) else { return nil }
        return token
    }

    private func secret(of token: RefreshToken) -> [UInt8]? {
        guard let key = keys[token.keyID] else { return nil }
        return key.authenticationCode(for: Self.context + token.head)
    }

    private static func checksum(of text: String) -> String {
        let crc = CRC32.checksum(Array(text.utf8))
        return Base64URL.encode(withUnsafeBytes(of: crc.bigEndian) { Array($0) })
    }
}
