// The secret that everything stored encrypted, and every refresh token, hangs from.
//
// An operator configures a ring of 32-byte keys. The first one encrypts; the others are still there to read what
// they once wrote. Rotation is: put a new key in front, restart the nodes one after another, and take the old one
// out when nothing needs it. Nodes may have the ring in different order meanwhile, so a key is named by itself
// (the first byte of its hash) and not by its place.
//
// A master key is never used directly. Each purpose has a key derived by HKDF, encryption too, so a weakness in
// one use says nothing about another.

/// One 32-byte key of the ring.
package struct MasterKey: Sendable {
    /// The first byte of the key's SHA-256: the same on every node, whatever the order of its ring.
    package let id: UInt8
    private let material: SecretBytes
    let encryptionKey: SecretBytes

    init(_ bytes: [UInt8]) {
        id = SHA256.digest(bytes)[0]
        material = SecretBytes(bytes)
        encryptionKey = SecretBytes(Self.derive(from: bytes, "aes-256-gcm", count: 32))
    }

    /// A key for one purpose, `count` bytes; other purposes' keys are independent of it.
    package func derive(_ purpose: String, count: Int = 32) -> [UInt8] {
        Self.derive(from: material.copy(), purpose, count: count)
    }

    func isSame(as other: MasterKey) -> Bool { constantTimeEqual(material.copy(), other.material.copy()) }

    private static func derive(from bytes: [UInt8], _ purpose: String, count: Int) -> [UInt8] {
        HKDFSHA256.deriveKey(from: bytes, info: Array("tessera/v1/\(purpose)".utf8), count: count)
    }
}

/// The configured master keys. The first encrypts, all of them decrypt.
package struct MasterKeyRing: Sendable {
    /// In the configured order.
    package let keys: [MasterKey]
    /// The key that encrypts and signs from now on.
    package let primary: MasterKey
    private let random: RandomSource

    /// Reads a ring from its configured form.
    ///
    /// `base64Ring`: 32-byte keys in standard base64 with padding, separated by commas; spaces around a
    ///   key are ignored.
    /// Throws: `.invalidKeyRing` with a reason that can be shown to the operator and contains no key.
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

    /// The key with this id, if the ring has it.
    package func key(id: UInt8) -> MasterKey? { keys.first { $0.id == id } }
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
    /// The result is version (1 byte) ‖ key id (1) ‖ nonce (12) ‖ ciphertext ‖ tag (16). Nonces are random, which
    /// is safe for 2^32 sealings under one key (NIST SP 800-38D §8.3), far beyond the number of signing keys.
    ///
    /// `associatedData`: where the result is stored, say table, row and column. It is not in the result,
    ///   but opening needs the same, so that a sealed value copied to another row is refused there.
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

    /// Decrypts what `seal` made with any key of the ring.
    ///
    /// - Throws: `.authenticationFailed` for altered bytes or other associated data, `.unknownKey` when the key has
    ///   left the ring, `.invalidEncoding` for what cannot be a sealed value.
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
