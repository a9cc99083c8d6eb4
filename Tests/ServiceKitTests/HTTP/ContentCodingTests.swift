// Packed bodies: unpacked within bounds, or refused by name.
import Gzip
import HTTPTypes
import OpenSSLCrypto
import Testing

@testable import ServiceKit

@Suite("Content codings")
struct ContentCodingTests {
    /// `{"title":"t"}`, packed by Python's gzip.
    private static let packed =
        Hex.decode(
            "1f8b0800000000000203ab562ac92cc94955b2522a51aa0500e462ff470d000000"
        ) ?? []
    private static let plain = Array(#"{"title":"t"}"#.utf8)
    /// A mebibyte of zeros.
    private static let bomb = GzipWriter.zeros(1 << 20)

    private static func coding(_ values: String...) -> Result<ContentCoding, APIError> {
        var fields = HTTPFields()
        for value in values { fields.append(HTTPField(name: .contentEncoding, value: value)) }
        return Result { () throws(APIError) in try ContentCoding(fields) }
    }

    @Test("gzip is taken by both of its names, in any case, and identity is nothing")
    func names() throws {
        for name in ["gzip", "GZIP", "x-gzip", "gzip, identity", " gzip "] {
            #expect(try Self.coding(name).get().decode(Self.packed, limit: 100) == Self.plain, "\(name)")
        }
        for name in ["", "identity", "Identity"] {
            #expect(try Self.coding(name).get().decode(Self.plain, limit: 100) == Self.plain, "\(name)")
        }
        #expect(try Self.coding().get().decode(Self.plain, limit: 100) == Self.plain)
    }

    @Test("another coding is refused with the one that is taken")
    func refused() {
        for names in [
            ["br"], ["deflate"], ["zstd"], ["compress"], ["x-unknown"], ["gzip, gzip"], ["gzip", "br"], ["gzip;q=1"],
        ] {
            var fields = HTTPFields()
            for name in names { fields.append(HTTPField(name: .contentEncoding, value: name)) }
            do throws(APIError) {
                _ = try ContentCoding(fields)
                Issue.record("\(names) was taken")
            } catch {
                #expect(
                    error.code == .unsupportedContentEncoding && error.headers[.acceptEncoding] == "gzip",
                    "\(names)"
                )
            }
        }
    }

    @Test("what is no gzip, is cut off or goes on behind its end is no body")
    func malformed() throws {
        let coding = try Self.coding("gzip").get()
        var damaged = Self.packed
        damaged[damaged.count - 6] ^= 1
        let bad = [
            Self.plain, Array(Self.packed.dropLast()), Array(Self.packed.prefix(11)), Self.packed + [0], [0x1F],
            damaged,
            Self.packed + Self.plain, Array(Self.packed.dropFirst()),
        ]
        for bytes in bad {
            #expect { try coding.decode(bytes, limit: 1000) } throws: { ($0 as? APIError)?.code == .badRequest }
        }
        #expect(try coding.decode([], limit: 10) == [])
        // RFC 1952 §2.2: members one after the other are one text.
        #expect(try coding.decode(Self.packed + Self.packed, limit: 100) == Self.plain + Self.plain)
    }

    @Test("members without content are counted, since each costs its setup")
    func members() throws {
        let coding = try Self.coding("gzip").get()
        let empty = try #require(Hex.decode("1f8b08000000000000030300000000000000" + "0000"))
        func many(_ count: Int) -> [UInt8] { Array((0..<count).map { _ in empty }.joined()) }
        #expect(try coding.decode(many(1), limit: 100) == [])
        #expect(try coding.decode(many(Gzip.maxMembers), limit: 100) == [])
        #expect(try coding.decode(many(Gzip.maxMembers - 1) + Self.packed, limit: 100) == Self.plain)
        #expect(throws: GzipError.tooManyMembers) {
            try Gzip.unpack(many(Gzip.maxMembers + 1), limit: 100, ratio: 100)
        }
        #expect { try coding.decode(many(Gzip.maxMembers) + Self.packed, limit: 100) } throws: {
            ($0 as? APIError)?.code == .bodyTooLarge
        }
    }

    @Test("neither the limit nor the ratio is passed, whatever the header says")
    func bounds() throws {
        let coding = try Self.coding("gzip").get()
        #expect(try coding.decode(Self.packed, limit: Self.plain.count) == Self.plain)
        #expect { try coding.decode(Self.packed, limit: Self.plain.count - 1) } throws: {
            ($0 as? APIError)?.code == .bodyTooLarge
        }
        #expect(Self.bomb.count < 8000)
        #expect(throws: GzipError.tooDense) { try Gzip.unpack(Self.bomb, limit: 1 << 30, ratio: 100) }
        #expect(throws: GzipError.tooLarge) { try Gzip.unpack(Self.bomb, limit: 1 << 16, ratio: 100_000) }
        #expect(try Gzip.unpack(Self.bomb, limit: 1 << 20, ratio: 100_000) == [UInt8](repeating: 0, count: 1 << 20))
        // Sixteen of them, each below the first 64 KiB that are free.
        let small = GzipWriter.zeros(60_000)
        #expect(throws: GzipError.tooDense) {
            try Gzip.unpack(Array((0..<16).map { _ in small }.joined()), limit: 1 << 30, ratio: 100)
        }
        #expect(try Gzip.unpack(small, limit: 1 << 30, ratio: 100).count == 60_000)
    }
}

/// Packs zeros as densely as DEFLATE can (RFC 1951 §3.2.6): one literal, and copies of 258 bytes from one byte before.
private enum GzipWriter {
    static func zeros(_ count: Int) -> [UInt8] {
        var bits = Bits()
        bits.add(0b011, 3)
        bits.code(0x30, 8)
        var left = count - 1
        while left >= 258 {
            // Length 258 is code 285, which fixed codes write as 0b11000101; distance 1 is code 0.
            bits.code(0b1100_0101, 8)
            bits.code(0, 5)
            left -= 258
        }
        for _ in 0..<left { bits.code(0x30, 8) }
        bits.code(0, 7)
        let header: [UInt8] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]
        let size = UInt32(count)
        return header + bits.bytes + littleEndian(crc(zeros: count)) + littleEndian(size)
    }

    private static func littleEndian(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
    }

    /// RFC 1952 §8.
    private static func crc(zeros count: Int) -> UInt32 {
        var crc: UInt32 = 0xFFFF_FFFF
        for _ in 0..<count {
            for _ in 0..<8 { crc = crc & 1 == 1 ? 0xEDB8_8320 ^ (crc >> 1) : crc >> 1 }
        }
        return ~crc
    }

    private struct Bits {
        private(set) var bytes: [UInt8] = []
        private var used = 8

        /// The lowest bit first, as numbers are written.
        mutating func add(_ value: Int, _ count: Int) {
            for index in 0..<count { bit(value >> index & 1) }
        }

        /// The highest bit first, as codes are written.
        mutating func code(_ value: Int, _ count: Int) {
            for index in (0..<count).reversed() { bit(value >> index & 1) }
        }

        private mutating func bit(_ bit: Int) {
            if used == 8 {
                bytes.append(0)
                used = 0
            }
            bytes[bytes.count - 1] |= UInt8(bit << used)
            used += 1
        }
    }
}
