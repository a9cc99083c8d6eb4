import OpenSSLCrypto
import Testing

@Suite("Text encodings")
struct EncodingTests {
    @Test(
        "base64 gives the examples of RFC 4648 §10",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ]
    )
    func base64(text: String, encoded: String) {
        let bytes = Array(text.utf8)
        let unpadded = String(encoded.filter { $0 != "=" })
        #expect(Base64.encode(bytes) == encoded)
        #expect(Base64.decode(encoded) == bytes)
        #expect(Base64.encode(bytes, padded: false) == unpadded)
        #expect(Base64.decode(unpadded, padded: false) == bytes)
        #expect(Base64URL.encode(bytes) == unpadded)
        #expect(Base64URL.decode(unpadded) == bytes)
    }

    @Test("every length and every byte survive, in both alphabets")
    func roundTrip() {
        for count in 0...257 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ count) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
            #expect(Hex.decode(Hex.encode(bytes)) == bytes)
        }
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
        #expect(Base64.encode([0xFB, 0xFF]) == "+/8=")
    }

    @Test(
        "base64url is refused unless it is the one text of its bytes",
        arguments: [
            "Zg==", "Zm8=", "Z", "Zm9vY", "Zh", "Zm9", "+/8", "-_9", "Zg\n", " Zg", "Zm9v\u{0}", "Zm 9v", "Zm9vé",
            "Z=g", "====", "Zm9v.", "Ｚm9v",
        ]
    )
    func strictURL(text: String) {
        #expect(Base64URL.decode(text) == nil)
    }

    @Test(
        "padded base64 is refused unless it is the one text of its bytes",
        arguments: ["Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v====", "=Zg=", "Z===", "-_8=", "Zg==Zg==", "Zm9v\n"]
    )
    func strictStandard(text: String) {
        #expect(Base64.decode(text) == nil)
    }

    @Test("any single other character in place of one makes another value or none")
    func oneTextPerValue() throws {
        let bytes: [UInt8] = [1, 2, 3, 4, 5, 6, 7, 8]
        let text = Array(Base64URL.encode(bytes).utf8)
        for index in text.indices {
            for byte in UInt8.min...UInt8.max where byte != text[index] {
                var altered = text
                altered[index] = byte
                #expect(Base64URL.decode(utf8: altered[...]) != bytes)
            }
        }
    }

    @Test("hexadecimal takes both cases, writes the lower, and refuses the rest")
    func hex() {
        #expect(Hex.encode([0x00, 0xAB, 0xFF]) == "00abff")
        #expect(Hex.decode("00aBFf") == [0x00, 0xAB, 0xFF])
        for text in ["0", "0g", "0x", " 0", "+1", "00 "] { #expect(Hex.decode(text) == nil) }
    }

    @Test("a UUIDv7 carries its time, version and variant, and sorts by time")
    func uuid() {
        // RFC 9562 §A.6.
        let random = RandomSource { _ in [0x0C, 0xC3, 0x18, 0xC4, 0xDC, 0x0C, 0x0C, 0x07, 0x39, 0x8F] }
        #expect(UUIDv7.make(milliseconds: 0x017F_22E2_79B0, random: random) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f")
        let earlier = UUIDv7.make(milliseconds: 1_700_000_000_000, random: .system)
        let later = UUIDv7.make(milliseconds: 1_700_000_000_001, random: .system)
        #expect(earlier < later)
        #expect(Set((0..<1000).map { _ in UUIDv7.make(milliseconds: 1, random: .system) }).count == 1000)
    }

    @Test("the system's randomness has the length asked for and does not repeat")
    func randomness() {
        #expect(RandomSource.system.bytes(0).isEmpty)
        #expect(RandomSource.system.bytes(33).count == 33)
        #expect(Set((0..<100).map { _ in RandomSource.system.bytes(16) }).count == 100)
    }
}
