import PasswordHashing
import Testing

@Suite("Stored password hashes")
struct PHCStringTests {
    static let good = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"

    @Test("a hash is read into its parts and written back as it was")
    func roundTrip() throws {
        let phc = try PHCString(Self.good)
        #expect(phc.variant == .argon2id)
        #expect(phc.version == 19)
        #expect(phc.parameters == Argon2Parameters(memoryKiB: 65_536, iterations: 2, parallelism: 1))
        #expect(phc.salt == Array("somesalt".utf8))
        #expect(phc.tag.count == 32)
        #expect(phc.text == Self.good)
    }

    @Test("without a version, the hash is of the version before RFC 9106")
    func oldVersion() throws {
        #expect(try PHCString(Self.good.replacing("$v=19", with: "")).version == 16)
    }

    @Test(
        "anything that is not exactly a hash is refused",
        arguments: [
            ("$argon2id", "argon2id"), ("$argon2id", "x$argon2id"), ("$v=19", "$v=019"), ("$v=19", "$v=+19"),
            ("$v=19", "$v="), ("$v=19", "$v=19$v=19"), ("m=65536", "m=065536"), ("m=65536", "m=-65536"),
            ("m=65536", "m= 65536"), ("m=65536", "m=99999999999"), ("m=65536", "m="), ("m=65536,t=2", "t=2,m=65536"),
            (",p=1", ""), (",p=1", ",p=1,keyid=AA"), (",p=1", ",p=1,p=1"), ("t=2", "t=２"), ("$c29tZXNhbHQ", ""),
            ("c29tZXNhbHQ$", "c29tZXNhbHQ"), ("c29tZXNhbHQ", "c29tZXNhbHQ="), ("c29tZXNhbHQ", "c29tZXNhbHR"),
            ("GRPPc", "GRPPc$"), ("GRPPc", "GRPPc "), ("GRPPc", "GRPPc\n"), ("GRPPc", "GRPPd"), ("GRPPc", "GRP-c"),
        ]
    )
    func malformed(part: String, replacement: String) {
        let text = Self.good.replacing(part, with: replacement)
        #expect(text != Self.good)
        #expect(throws: PHCError.malformed) { try PHCString(text) }
    }

    @Test("other functions and versions are named as such")
    func unsupported() {
        for name in ["scrypt", "Argon2id", "argon2", ""] {
            #expect(throws: PHCError.unsupportedFunction) { try PHCString(Self.good.replacing("argon2id", with: name)) }
        }
        #expect(throws: PHCError.unsupportedVersion) { try PHCString(Self.good.replacing("v=19", with: "v=20")) }
        #expect(throws: PHCError.malformed) { try PHCString("") }
        #expect(throws: PHCError.malformed) { try PHCString(String(repeating: "$", count: 100_000)) }
    }

    @Test(
        "a cost that would stall the server is refused before anything is computed",
        arguments: [
            ("m=1048577,t=1,p=1", "m"), ("m=4294967295,t=1,p=1", "m"), ("m=7,t=1,p=1", "m"), ("m=31,t=1,p=4", "m"),
            ("m=64,t=21,p=1", "t"), ("m=1048576,t=5,p=1", "t"), ("m=65536,t=2,p=17", "p"),
        ]
    )
    func cost(cost: String, parameter: String) {
        #expect(throws: PHCError.costOutOfBounds(parameter)) {
            try PHCString(Self.good.replacing("m=65536,t=2,p=1", with: cost))
        }
    }

    @Test("the largest costs allowed are read")
    func largestCosts() throws {
        for cost in ["m=1048576,t=4,p=16", "m=8,t=20,p=1"] {
            #expect(throws: Never.self) { try PHCString(Self.good.replacing("m=65536,t=2,p=1", with: cost)) }
        }
    }

    @Test("salts and tags of unusual length are refused")
    func lengths() {
        #expect(throws: PHCError.lengthOutOfBounds) {
            try PHCString(Self.good.replacing("c29tZXNhbHQ", with: "c29tZXM"))
        }
        #expect(throws: PHCError.lengthOutOfBounds) {
            try PHCString("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$AAAA")
        }
        let long = String(repeating: "AAAA", count: 22)
        #expect(throws: PHCError.lengthOutOfBounds) {
            try PHCString("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$\(long)")
        }
    }
}
