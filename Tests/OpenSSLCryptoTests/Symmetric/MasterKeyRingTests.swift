import OpenSSLCrypto
import Testing

@Suite("The ring of master keys")
struct MasterKeyRingTests {
    static let first = (0..<32).map { UInt8($0) }
    static let second = (0..<32).map { UInt8(200 - $0) }
    static let secret = Array("a private key".utf8)
    static let place = Array("signing_keys/42/private".utf8)

    static func ring(_ keys: [UInt8]...) throws -> MasterKeyRing {
        try MasterKeyRing(base64Ring: keys.map { Base64.encode($0) }.joined(separator: ","))
    }

    @Test("what was sealed opens again, empty and long plaintexts too", arguments: [0, 1, 15, 16, 17, 4096, 100_000])
    func roundTrip(count: Int) throws {
        let ring = try Self.ring(Self.first)
        let plaintext = [UInt8](repeating: 0x5A, count: count)
        let sealed = try ring.seal(plaintext, associatedData: Self.place)
        #expect(sealed.count == count + 30)
        #expect(sealed.prefix(2) == [1, ring.primary.id])
        #expect(try ring.open(sealed, associatedData: Self.place) == plaintext)
    }

    @Test("a fingerprint tells keys apart, and is neither the key, nor its hash, nor a derived key")
    func fingerprints() throws {
        let ring = try Self.ring(Self.first, Self.second)
        let prints = ring.keys.map(\.fingerprint)
        #expect(Set(prints).count == 2 && prints.allSatisfy { $0.wholeMatch(of: /[0-9a-f]{16}/) != nil })
        #expect(try Self.ring(Self.second, Self.first).keys.map(\.fingerprint) == prints.reversed())
        // RFC 5869 with the label, written down once.
        let expected = HKDFSHA256.deriveKey(from: Self.first, info: Array("tessera/v1/ring-fingerprint".utf8), count: 8)
        #expect(prints[0] == Hex.encode(expected))
        let elsewhere =
            [Self.first, SHA256.digest(Self.first)]
            + ["tessera-refresh-v1", "aes-256-gcm"].map { ring.keys[0].derive($0) }
        for bytes in elsewhere { #expect(!Hex.encode(bytes).contains(prints[0])) }
        #expect(ring.shares(with: try Self.ring(Self.second)))
        #expect(!(try Self.ring(Self.first).shares(with: try Self.ring(Self.second))))
        #expect(MasterKeyRing.keyID(of: try ring.seal(Self.secret, associatedData: Self.place)) == ring.primary.id)
        #expect(MasterKeyRing.keyID(of: [1]) == nil && MasterKeyRing.keyID(of: [2, 3, 4]) == nil)
    }

    @Test("the same plaintext is never sealed the same way twice")
    func nonces() throws {
        let ring = try Self.ring(Self.first)
        let sealed = try (0..<100).map { _ in try ring.seal(Self.secret, associatedData: Self.place) }
        #expect(Set(sealed).count == 100)
    }

    @Test("with any bit of the sealed bytes changed, nothing opens")
    func tampering() throws {
        let ring = try Self.ring(Self.first)
        let sealed = try ring.seal(Self.secret, associatedData: Self.place)
        for index in sealed.indices {
            for bit in 0..<8 {
                var altered = sealed
                altered[index] ^= 1 << UInt8(bit)
                let error = #expect(throws: CryptoError.self) { try ring.open(altered, associatedData: Self.place) }
                switch index {
                case 0: #expect(error == .invalidEncoding)
                case 1: #expect(error == .unknownKey(id: altered[1]))
                default: #expect(error == .authenticationFailed)
                }
            }
        }
    }

    @Test("a sealed value that is cut short or continued does not open")
    func lengths() throws {
        let ring = try Self.ring(Self.first)
        let sealed = try ring.seal(Self.secret, associatedData: Self.place)
        for count in 0..<sealed.count {
            #expect(throws: CryptoError.self) { try ring.open(Array(sealed.prefix(count)), associatedData: Self.place) }
        }
        #expect(throws: CryptoError.authenticationFailed) { try ring.open(sealed + [0], associatedData: Self.place) }
    }

    @Test("a sealed value copied to another place does not open there")
    func associatedData() throws {
        let ring = try Self.ring(Self.first)
        let sealed = try ring.seal(Self.secret, associatedData: Self.place)
        for other in [[], Array("signing_keys/43/private".utf8), Self.place + [0]] {
            #expect(throws: CryptoError.authenticationFailed) { try ring.open(sealed, associatedData: other) }
        }
    }

    @Test("the header is bound: another key of the ring cannot be named in its place")
    func header() throws {
        let ring = try Self.ring(Self.first, Self.second)
        var sealed = try ring.seal(Self.secret, associatedData: Self.place)
        sealed[1] = ring.keys[1].id
        #expect(throws: CryptoError.authenticationFailed) { try ring.open(sealed, associatedData: Self.place) }
    }

    @Test("nodes with the ring in different order read each other")
    func rotation() throws {
        let old = try Self.ring(Self.first)
        let rotated = try Self.ring(Self.second, Self.first)
        let reversed = try Self.ring(Self.first, Self.second)
        #expect(rotated.primary.id != old.primary.id)
        #expect(reversed.primary.id == old.primary.id)
        #expect(rotated.key(id: old.primary.id)?.derive("x") == old.primary.derive("x"))

        let before = try old.seal(Self.secret, associatedData: Self.place)
        #expect(try rotated.open(before, associatedData: Self.place) == Self.secret)
        let after = try rotated.seal(Self.secret, associatedData: Self.place)
        #expect(try reversed.open(after, associatedData: Self.place) == Self.secret)
        #expect(throws: CryptoError.unknownKey(id: rotated.primary.id)) {
            try old.open(after, associatedData: Self.place)
        }
    }

    @Test("derived keys differ by purpose and by master key, and are none of the master key")
    func derivation() throws {
        let ring = try Self.ring(Self.first, Self.second)
        #expect(ring.primary.derive("refresh").count == 32)
        #expect(ring.primary.derive("refresh", count: 64).count == 64)
        #expect(ring.primary.derive("refresh") == ring.primary.derive("refresh"))
        #expect(ring.primary.derive("refresh") != ring.primary.derive("cursor"))
        #expect(ring.primary.derive("refresh") != ring.keys[1].derive("refresh"))
        #expect(ring.primary.derive("refresh") != Self.first)
    }

    @Test("spaces around keys are allowed in a configured ring")
    func spaces() throws {
        let text = " \(Base64.encode(Self.first)) , \(Base64.encode(Self.second)) "
        #expect(try MasterKeyRing(base64Ring: text).keys.count == 2)
    }

    @Test(
        "a ring that cannot be used is refused, and the reason contains no key",
        arguments: [
            "", ",", "not base64!", Base64.encode([UInt8](repeating: 1, count: 31)),
            Base64.encode([UInt8](repeating: 1, count: 33)), Base64.encode(first) + ",",
            Base64.encode(first) + "," + Base64.encode(first), Base64.encode(first, padded: false),
        ]
    )
    func badRings(text: String) {
        let error = #expect(throws: CryptoError.self) { try MasterKeyRing(base64Ring: text) }
        guard case .invalidKeyRing(let reason) = error else {
            Issue.record("unexpected error \(String(describing: error))")
            return
        }
        #expect(!reason.contains(Base64.encode(Self.first).prefix(8)))
    }

    @Test("two keys whose ids collide are refused at start, not when data cannot be read")
    func collision() throws {
        let id = try Self.ring(Self.first).primary.id
        // One key in 256 has that id.
        var key = Self.first
        repeat { key = SHA256.digest(key) } while SHA256.digest(key)[0] != id
        #expect(throws: CryptoError.self) { try Self.ring(Self.first, key) }
        #expect(try Self.ring(key).primary.id == id)
    }
}
