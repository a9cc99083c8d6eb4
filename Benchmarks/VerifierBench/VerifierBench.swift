// The cost of verifying a token, in one thread without HTTP. `make bench` compares it with OpenSSL's own verification
// of the same kind of signature.
//
//   verifier-bench warm --seconds 5
//
// The tokens are like auth's for users: ES256, the same claims, under 700 bytes. Prints the results as one line of
// JSON.

import ArgumentParser
import Foundation
import OpenSSLCrypto
import TesseraVerifier

@main
struct VerifierBench: ParsableCommand {
    enum Mode: String, ExpressibleByArgument, CaseIterable {
        /// Every token as if it were seen for the first time: form, signature, claims.
        case cold
        /// Tokens that were verified before.
        case warm
        /// What the process weighs with as many verified tokens remembered.
        case memory
    }

    static let configuration = CommandConfiguration(
        commandName: "verifier-bench",
        abstract: "Measures TesseraVerifier on one core, without HTTP."
    )

    @Argument(help: "\(Mode.allCases.map(\.rawValue).joined(separator: ", "))")
    var mode: Mode

    @Option(help: "How long to measure; a tenth of it goes before, unmeasured.")
    var seconds = 5.0

    @Option(help: "How many tokens take turns; with memory, how many are remembered (100,000 unless told otherwise).")
    var tokens: Int?

    func run() throws {
        let issuer = try Issuer()
        switch mode {
        case .cold: try measure(issuer, cached: 0)
        case .warm: try measure(issuer, cached: 100_000)
        case .memory: try weigh(issuer, count: tokens ?? 100_000)
        }
    }

    private func measure(_ issuer: Issuer, cached: Int) throws {
        let tokens = try (0..<(tokens ?? 1000)).map { try issuer.token(number: $0) }
        let verifier = issuer.verifier(cachedTokens: cached)
        _ = try turns(verifier, tokens, for: .seconds(seconds / 10))
        let (operations, took) = try turns(verifier, tokens, for: .seconds(seconds))
        let rate = Double(operations) / (took / .seconds(1))
        try Report(
            mode: mode.rawValue,
            seconds: took / .seconds(1),
            operations: operations,
            perSecond: (rate * 10).rounded() / 10,
            tokenBytes: tokens.map(\.utf8.count).max() ?? 0,
            cachedTokens: verifier.cachedTokenCount
        ).print()
    }

    private func turns(
        _ verifier: TokenVerifier,
        _ tokens: [String],
        for time: Duration
    ) throws -> (operations: Int, took: Duration) {
        let clock = ContinuousClock()
        let begin = clock.now
        var operations = 0
        var users = 0
        while clock.now - begin < time {
            for token in tokens where try verifier.verify(token).isUser { users += 1 }
            operations += tokens.count
        }
        guard users == operations else { throw ValidationError("a token was not believed to be a user's") }
        return (operations, clock.now - begin)
    }

    private func weigh(_ issuer: Issuer, count: Int) throws {
        // With room to spare: digests do not fall evenly, and none is to be given up.
        let verifier = issuer.verifier(cachedTokens: count + count / 4)
        // Whatever is made once is made before it counts.
        for number in 0..<100 { _ = try verifier.verify(try issuer.token(number: number)) }
        let before = Report.residentMemory()
        let begin = ContinuousClock.now
        for number in 100..<count { _ = try verifier.verify(try issuer.token(number: number)) }
        let took = ContinuousClock.now - begin
        var report = Report(
            mode: mode.rawValue,
            seconds: took / .seconds(1),
            operations: count,
            perSecond: 0,
            tokenBytes: try issuer.token(number: 0).utf8.count,
            cachedTokens: verifier.cachedTokenCount
        )
        report.bytesPerToken = (Report.residentMemory() - before) * 1024 / max(1, report.cachedTokens - 100)
        try report.print()
    }
}

/// Signs tokens as auth does.
private struct Issuer {
    private static let name = "https://auth.example.com"
    private let key: SigningKey
    private let kid: String

    init() throws {
        key = try SigningKey.generate(.es256)
        kid = try key.publicKey.jwk.thumbprint()
    }

    func verifier(cachedTokens: Int) -> TokenVerifier {
        TokenVerifier(
            requirements: TokenRequirements(issuer: Self.name, audience: "chat"),
            keys: Keys(keys: KeySet([kid: key.publicKey])),
            cachedTokens: cachedTokens
        )
    }

    func token(number: Int) throws -> String {
        let now = TokenRequirements.systemClock()
        func id(_ kind: String) -> String {
            let digits = String(number, radix: 16)
            return "0190a5c0-\(kind)-7000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
        }
        let claims = """
            {"iss":"\(Self.name)","sub":"\(id("0001"))","aud":["tessera","chat"],"exp":\(now + 600),"iat":\(now),\
            "jti":"\(id("0002"))","sid":"\(id("0003"))","client_id":"tessera","scope":"","role":"user","kind":"user",\
            "ver":3,"gver":1,"amr":["pwd"],"auth_time":\(now - 60),"email_verified":true}
            """
        return try JWS.sign(payload: Array(claims.utf8), type: "at+jwt", keyID: kid, key: key)
    }

    private struct Keys: KeySource {
        let keys: KeySet

        func snapshot() -> KeySet { keys }
        func refresh(afterUnknownKeyID keyID: String) async throws {}
    }
}

/// The line of JSON.
private struct Report: Encodable {
    let mode: String
    let seconds: Double
    let operations: Int
    let perSecond: Double
    let tokenBytes: Int
    let cachedTokens: Int
    var bytesPerToken: Int?
    let residentMemory = Report.residentMemory()

    private enum CodingKeys: String, CodingKey {
        case mode, seconds, operations
        case perSecond = "per_second"
        case tokenBytes = "token_bytes"
        case cachedTokens = "cached_tokens"
        case bytesPerToken = "bytes_per_token"
        case residentMemory = "rss_kib"
    }

    func print() throws {
        Swift.print(String(decoding: try JSONEncoder().encode(self), as: UTF8.self))
    }

    /// `VmRSS` of proc(5), in KiB.
    static func residentMemory() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(whereSeparator: { !$0.isNumber }).first.flatMap { Int($0) } ?? 0
    }
}
