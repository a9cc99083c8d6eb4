import OpenSSLCrypto
import Testing

@Suite("Digests, codes and derived keys")
struct DigestTests {
    @Test(
        "SHA-256 gives the examples of FIPS 180-2",
        arguments: [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
            ),
        ]
    )
    func sha256(text: String, digest: String) {
        #expect(Hex.encode(SHA256.digest(Array(text.utf8))) == digest)
        let prefix = withUnsafeBytes(of: SHA256.digest(of: text).prefix) { Hex.encode(Array($0)) }
        #expect(digest.hasPrefix(prefix))
        #expect(SHA256.digest(of: text) == SHA256.digest(of: text))
        #expect(SHA256.digest(of: text) != SHA256.digest(of: text + "\u{0}"))
    }

    struct HMACFile: Decodable {
        struct Case: Decodable { let key, data, hmac: HexBytes }
        let cases: [Case]
    }

    @Test("HMAC-SHA-256 gives the vectors of RFC 4231")
    func hmac() throws {
        let cases = try Vectors.load("rfc4231_hmac_sha256", as: HMACFile.self).cases
        #expect(cases.count == 7)
        for vector in cases {
            let code = HMACSHA256.authenticationCode(for: vector.data.bytes, key: vector.key.bytes)
            #expect(Array(code.prefix(vector.hmac.bytes.count)) == vector.hmac.bytes)
        }
    }

    @Test("an HMAC is valid for its own key and message only, whichever byte differs")
    func hmacValidity() {
        let (message, key) = (Array("message".utf8), Array("key".utf8))
        let code = HMACSHA256.authenticationCode(for: message, key: key)
        #expect(HMACSHA256.isValid(code, for: message, key: key))
        #expect(!HMACSHA256.isValid(code, for: message + [0], key: key))
        #expect(!HMACSHA256.isValid(code, for: message, key: key + [1]))
        #expect(!HMACSHA256.isValid(Array(code.dropLast()), for: message, key: key))
        for index in code.indices {
            var altered = code
            altered[index] ^= 1
            #expect(!HMACSHA256.isValid(altered, for: message, key: key))
        }
    }

    @Test("an empty key or message is a key or message like any other")
    func hmacOfNothing() {
        #expect(
            Hex.encode(HMACSHA256.authenticationCode(for: [], key: []))
                == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
        )
    }

    struct HKDFFile: Decodable {
        struct Case: Decodable {
            let ikm, salt, info, okm: HexBytes
            let length: Int
        }
        let cases: [Case]
    }

    @Test("HKDF-SHA-256 gives the vectors of RFC 5869")
    func hkdf() throws {
        let cases = try Vectors.load("rfc5869_hkdf_sha256", as: HKDFFile.self).cases
        #expect(cases.count == 3)
        for vector in cases {
            let key = HKDFSHA256.deriveKey(
                from: vector.ikm.bytes,
                salt: vector.salt.bytes,
                info: vector.info.bytes,
                count: vector.length
            )
            #expect(key == vector.okm.bytes)
        }
    }

    @Test("HKDF fills the longest key RFC 5869 allows, and a shorter one is its beginning")
    func hkdfLength() {
        let longest = HKDFSHA256.deriveKey(from: [1, 2, 3], info: [4], count: 255 * 32)
        #expect(longest.count == 8160)
        #expect(HKDFSHA256.deriveKey(from: [1, 2, 3], info: [4], count: 33) == Array(longest.prefix(33)))
        #expect(HKDFSHA256.deriveKey(from: [1, 2, 3], info: [4], count: 0).isEmpty)
    }

    @Test("CRC-32 gives the check value of IEEE 802.3")
    func crc32() {
        #expect(CRC32.checksum(Array("123456789".utf8)) == 0xCBF4_3926)
        #expect(CRC32.checksum([]) == 0)
        #expect(CRC32.checksum([0]) == 0xD202_EF8D)
    }

    @Test("comparing in constant time is still comparing")
    func comparing() {
        #expect(constantTimeEqual([], []))
        #expect(constantTimeEqual([1, 2], [1, 2]))
        #expect(!constantTimeEqual([1, 2], [1, 3]))
        #expect(!constantTimeEqual([1, 2], [1, 2, 0]))
    }
}
