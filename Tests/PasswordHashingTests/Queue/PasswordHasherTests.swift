import Foundation
import OpenSSLCrypto
import PasswordHashing
import Testing

@Suite("Hashing passwords")
struct PasswordHasherTests {
    /// The cheapest Argon2, for tests of other subjects.
    static let cheap = Argon2Parameters(memoryKiB: 64, iterations: 1, parallelism: 1)

    @discardableResult
    static func withHasher<T: Sendable>(
        _ parameters: Argon2Parameters = cheap,
        threads: Int = 2,
        random: RandomSource = .system,
        _ body: (PasswordHasher) async throws -> T
    ) async throws -> T {
        let hasher = PasswordHasher(parameters: parameters, threads: threads, queueLimit: 64, random: random)
        let result = try await body(hasher)
        await hasher.shutdown()
        return result
    }

    struct VectorFile: Decodable {
        struct Case: Decodable { let password, hash: String }
        let cases: [Case]
    }

    @Test("the reference implementation's hashes match their password and no other")
    func referenceVectors() async throws {
        let url = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Vectors/argon2_phc.json")
        let cases = try JSONDecoder().decode(VectorFile.self, from: Data(contentsOf: url)).cases
        #expect(cases.count == 6)
        try await Self.withHasher { hasher in
            for vector in cases {
                // Each is weaker than a new hash: another function, version or a short salt.
                let isMade = try await hasher.verify(vector.password, against: vector.hash)
                #expect(isMade == .matches(needsRehash: true), "\(vector.hash)")
                #expect(try await hasher.verify("sassword", against: vector.hash) == .differs)
            }
        }
    }

    @Test("a new hash is Argon2id with the configured cost, a salt of 16 bytes and a tag of 32")
    func form() async throws {
        let parameters = Argon2Parameters()
        #expect(parameters == Argon2Parameters(memoryKiB: 19_456, iterations: 2, parallelism: 1))
        let salt = (0..<16).map { UInt8($0) }
        try await Self.withHasher(parameters, random: RandomSource { Array(salt.prefix($0)) }) { hasher in
            let password = "correct horse battery staple"
            let text = try await hasher.hash(password)
            let phc = try PHCString(text)
            #expect(text.hasPrefix("$argon2id$v=19$m=19456,t=2,p=1$AAECAwQFBgcICQoLDA0ODw$"))
            #expect(phc.tag.count == 32)
            #expect(try await hasher.verify(password, against: text) == .matches(needsRehash: false))
            #expect(try await hasher.verify(password + "s", against: text) == .differs)
        }
    }

    @Test("two hashes of one password differ")
    func salts() async throws {
        try await Self.withHasher { hasher in
            let (first, second) = (try await hasher.hash("password"), try await hasher.hash("password"))
            #expect(first != second)
        }
    }

    @Test("a password is the same in either Unicode form, and different in another case")
    func normalisation() async throws {
        try await Self.withHasher { hasher in
            let stored = try await hasher.hash("caf\u{E9} \u{1E9B}\u{323}")
            let decomposed = "cafe\u{301} \u{1E9B}\u{323}"
            #expect(try await hasher.verify(decomposed, against: stored) == .matches(needsRehash: false))
            #expect(try await hasher.verify("CAF\u{C9} \u{1E9B}\u{323}", against: stored) == .differs)
            // Form C distinguishes compatibility characters; form KC would not.
            let ligature = try await hasher.hash("\u{FB01}sh and chips")
            #expect(try await hasher.verify("fish and chips", against: ligature) == .differs)
        }
    }

    @Test("empty and very long passwords, and those with a NUL, are hashed as they are")
    func edges() async throws {
        try await Self.withHasher { hasher in
            for password in ["", "\u{0}", "a\u{0}b", String(repeating: "x", count: 100_000)] {
                let stored = try await hasher.hash(password)
                #expect(try await hasher.verify(password, against: stored) == .matches(needsRehash: false))
                #expect(try await hasher.verify(password + "x", against: stored) == .differs)
            }
            #expect(try await hasher.verify("a", against: try await hasher.hash("a\u{0}b")) == .differs)
        }
    }

    @Test(
        "a hash cheaper than today's asks to be made anew, a dearer one does not",
        arguments: [(32, 1, true), (64, 1, false), (128, 1, false), (64, 2, false)]
    )
    func rehash(memory: Int, iterations: Int, expected: Bool) async throws {
        let parameters = Argon2Parameters(memoryKiB: memory, iterations: iterations, parallelism: 1)
        let stored = try await Self.withHasher(parameters) { try await $0.hash("password") }
        let verdict = try await Self.withHasher { try await $0.verify("password", against: stored) }
        #expect(verdict == .matches(needsRehash: expected))
    }

    @Test("lanes compute what the reference computes, and memory grows with the hash that needs it")
    func lanes() async throws {
        let wide = Argon2Parameters(memoryKiB: 4096, iterations: 3, parallelism: 4)
        let stored = try await Self.withHasher(wide) { try await $0.hash("password") }
        try await Self.withHasher(threads: 1) { hasher in
            let small = try await hasher.hash("password")
            #expect(try await hasher.verify("password", against: stored) == .matches(needsRehash: false))
            #expect(try await hasher.verify("password", against: small) == .matches(needsRehash: false))
            #expect(try await hasher.verify("passwort", against: stored) == .differs)
        }
    }

    @Test("text that is not a hash is an error, not a wrong password")
    func invalidHash() async throws {
        try await Self.withHasher { hasher in
            await #expect(throws: HashingError.invalidHash(.malformed)) { try await hasher.verify("x", against: "") }
            await #expect(throws: HashingError.invalidHash(.unsupportedFunction)) {
                try await hasher.verify("x", against: "$2b$12$abcdefghijklmnopqrstuv")
            }
            await #expect(throws: HashingError.invalidHash(.costOutOfBounds("m"))) {
                let greedy = "$argon2id$v=19$m=4000000000,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAA"
                return try await hasher.verify("x", against: greedy)
            }
        }
    }

    @Test("what libargon2 refuses is reported with its code")
    func refusedParameters() async throws {
        let parameters = Argon2Parameters(memoryKiB: 1, iterations: 1, parallelism: 1)
        #expect(throws: PHCError.costOutOfBounds("m")) { try parameters.validate() }
        try await Self.withHasher(parameters) { hasher in
            // ARGON2_MEMORY_TOO_LITTLE.
            await #expect(throws: HashingError.failed(code: -14)) { try await hasher.hash("password") }
        }
    }
}
