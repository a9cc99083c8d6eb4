// The master keys, from which refresh tokens and the encryption of stored values derive.
//
// An operator configures a ring of 32-byte keys: the first encrypts, the others only decrypt. A new key goes behind the
// others on every node before it goes in front (docs/master-key.md). Nodes may hold the ring in different orders
// meanwhile, so the first byte of a key's hash names it.
//
// Each purpose has a key of its own, derived by HKDF, so a weakness in one use does not affect another.

package struct MasterKey: Sendable {
    /// The first byte of the key's SHA-256: the same on every node.
    package let id: UInt8
    /// 16 hexadecimal digits that tell keys of one id apart.
    ///
    /// SECURITY: it is stored and shown. HKDF under a label that nothing else uses says nothing of the key, and its 64
    /// bits are too few to confirm a guess of one.
    package let fingerprint: String
    private let material: SecretBytes
    let encryptionKey: SecretBytes

    init(_ bytes: [UInt8]) {
        id = SHA256.digest(bytes)[0]
        fingerprint = Hex.encode(Self.derive(from: bytes, "ring-fingerprint", count: 8))
        material = SecretBytes(bytes)
        encryptionKey = SecretBytes(Self.derive(from: bytes, "aes-256-gcm", count: 32))
    }

    /// Keys for different purposes are independent.
    package func derive(_ purpose: String, count: Int = 32) -> [UInt8] {
        Self.derive(from: material.copy(), purpose, count: count)
    }

    func isSame(as other: MasterKey) -> Bool { constantTimeEqual(material.copy(), other.material.copy()) }

    private static func derive(from bytes: [UInt8], _ purpose: String, count: Int) -> [UInt8] {
        HKDFSHA256.deriveKey(from: bytes, info: Array("tessera/v1/\(purpose)".utf8), count: count)
    }
}

package struct MasterKeyRing: Sendable {
    package let keys: [MasterKey]
    /// The key that encrypts new values.
    package let primary: MasterKey
    private let random: RandomSource

    /// Reads 32-byte keys in padded standard base64, separated by commas; spaces around a key are ignored.
    ///
    /// - Throws: `.invalidKeyRing` with a reason for the operator that contains no key.
    package init(base64Ring: String, random: RandomSource = .system) throws(CryptoError) {
        var keys: [MasterKey] = []
        for (index, text) in base64Ring.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            guard let bytes = Base64.decode(text.drop { $0 == " " }.trimmingTrailingSpaces), bytes.count == 32 else {
                throw .invalidKeyRing(reason: "key \(index + 1) is not the base64 text of 32 bytes")
            }
            let key = MasterKey(bytes)
            if let other = keys.first(where: { $0.id == key.id }) {
                throw .invalidKeyRing(
                    reason: other.isSame(as: key)
                        ? "key \(index + 1) appears twice"
                        : "key \(index + 1) has the same id as an earlier one by chance; generate another"
                )
            }
            keys.append(key)
        }
        guard let primary = keys.first else { throw .invalidKeyRing(reason: "the ring is empty") }
        self.keys = keys
        self.primary = primary
        self.random = random
    }

    package func key(id: UInt8) -> MasterKey? { keys.first { $0.id == id } }

    /// Whether a key is in both.
    package func shares(with other: MasterKeyRing) -> Bool {
        keys.contains { key in other.keys.contains { $0.isSame(as: key) } }
    }
}

extension Substring {
    fileprivate var trimmingTrailingSpaces: Substring {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}

// MARK: - Sealing

extension MasterKeyRing {
    /// The format below. A reader refuses any other.
    private static let version: UInt8 = 1

    /// Encrypts and authenticates `plaintext` with the primary key.
    ///
    /// The result is version (1 byte) ‖ key id (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16). Random nonces are safe for
    /// 2^32 sealings under one key (NIST SP 800-38D §8.3), far beyond the number of signing keys.
    ///
    /// `associatedData` says where the result is stored, such as table, row and column. Opening needs the same data, so
    /// a sealed value that was copied to another row is refused.
    package func seal(_ plaintext: [UInt8], associatedData: [UInt8]) throws(CryptoError) -> [UInt8] {
        let header = [Self.version, primary.id]
        let nonce = random.bytes(AESGCM.nonceCount)
        let body = try AESGCM.seal(
            plaintext,
            key: primary.encryptionKey,
            nonce: nonce,
            associatedData: header + associatedData
        )
        return header + nonce + body
    }

    /// The id of the key that sealed; `nil` for bytes of another form.
    package static func keyID(of sealed: [UInt8]) -> UInt8? {
        sealed.count >= 2 && sealed[0] == version ? sealed[1] : nil
    }

    /// Decrypts with any key of the ring.
    ///
    /// - Throws: `.authenticationFailed` for altered bytes or other associated data, `.unknownKey` when the key has
    ///   left the ring, `.invalidEncoding` for anything else.
    package func open(_ sealed: [UInt8], associatedData: [UInt8]) throws(CryptoError) -> [UInt8] {
        let prefix = 2 + AESGCM.nonceCount
        guard sealed.count >= prefix + AESGCM.tagCount, sealed[0] == Self.version else { throw .invalidEncoding }
        guard let key = key(id: sealed[1]) else { throw .unknownKey(id: sealed[1]) }
        return try AESGCM.open(
            sealed[prefix...],
            key: key.encryptionKey,
            nonce: Array(sealed[2..<prefix]),
            associatedData: sealed[..<2] + associatedData
        )
    }
}
