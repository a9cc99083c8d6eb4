import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import TesseraVerifierHummingbird
import Testing

@Suite("Claim requirements")
struct ClaimRequirementTests {
    private static let now = TestIssuer.now

    @Test(
        "each is met by what it names and by nothing less",
        arguments: [
            (.audience("tessera"), [:], nil), (.audience("other"), [:], .wrongAudience),
            (.scope("read"), ["scope": "\"write read\""], nil), (.scope(), ["scope": "\"\""], nil),
            (.scope("read", "write"), ["scope": "\"read\""], .insufficientScope),
            (.scope("read"), ["scope": "\"reader\""], .insufficientScope),
            (.scope("read"), ["scope": nil], .insufficientScope),
            (.role("admin"), [:], nil), (.role("owner", "admin"), [:], nil), (.role("user"), [:], .insufficientRole),
            (.role("admin"), ["role": "\"Admin\""], .insufficientRole),
            (.role("admin"), ["role": nil], .insufficientRole), (.role(), [:], .insufficientRole),
            (.maxAge(.seconds(5)), [:], nil), (.maxAge(.seconds(4)), [:], .insufficientAuthentication),
            (.maxAge(.seconds(3600)), ["auth_time": nil], .insufficientAuthentication),
            (.maxAge(.seconds(3600)), ["auth_time": "-9223372036854775808"], .insufficientAuthentication),
            (.maxAge(.zero), ["auth_time": "\(now)"], nil),
            (.authenticationMethods("pwd"), [:], nil),
            (.authenticationMethods("pwd", "otp"), ["amr": "[\"otp\",\"pwd\"]"], nil),
            (.authenticationMethods("pwd", "otp"), [:], .insufficientAuthentication),
            (.authenticationMethods("pwd"), ["amr": nil], .insufficientAuthentication),
        ] as [(ClaimRequirement, [String: String?], VerificationError.Code?)]
    )
    func each(_ requirement: ClaimRequirement, _ changes: [String: String?], _ expected: VerificationError.Code?) throws
    {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let token = try issuer.token(changes)
        // The second time it is cached, with the same requirements.
        for _ in 0..<2 {
            do throws(VerificationError) {
                _ = try verifier.verify(token, requiring: requirement)
                #expect(expected == nil)
            } catch {
                #expect(error.code == expected)
            }
        }
    }

    @Test("all of several are demanded, by the verify that waits as well")
    func several() async throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let token = try issuer.token()
        _ = try await verifier.verify(token, requiring: .role("admin"), .authenticationMethods("pwd"))
        await #expect(throws: VerificationError(.insufficientAuthentication)) {
            try await verifier.verify(token, requiring: .role("admin"), .authenticationMethods("otp"))
        }
        // The refusal was of the call, not of the token.
        #expect(refusal(verifier, token) == nil)
    }

    @Test(
        "the answer names what a better token would have",
        arguments: [
            (.scope("read", "write"), .forbidden, "insufficient_scope", ", scope=\"read write\""),
            (.scope("a\"b"), .forbidden, "insufficient_scope", ", scope=\"a\\\"b\""),
            (.role("owner"), .forbidden, "insufficient_scope", ""),
            (.maxAge(.seconds(1)), .unauthorized, "insufficient_user_authentication", ", max_age=\"1\""),
            (.authenticationMethods("otp"), .unauthorized, "insufficient_user_authentication", ""),
        ] as [(ClaimRequirement, HTTPResponse.Status, String, String)]
    )
    func challenges(
        _ requirement: ClaimRequirement,
        _ status: HTTPResponse.Status,
        _ error: String,
        _ rest: String
    ) async throws {
        let issuer = try TestIssuer()
        let answer = try await send(try issuer.token(), to: requirement, trusting: issuer)
        #expect(answer.status == status)
        #expect(answer.headers[.wwwAuthenticate] == "Bearer realm=\"tessera\", error=\"\(error)\"\(rest)")
    }

    @Test("a request whose token is enough goes through; one without a token gets a challenge that names no error")
    func passes() async throws {
        let issuer = try TestIssuer()
        #expect(try await send(try issuer.token(), to: .role("admin"), trusting: issuer).status == .ok)
        let answer = try await send(nil, to: .role("admin"), trusting: issuer)
        #expect(answer.status == .unauthorized)
        #expect(answer.headers[.wwwAuthenticate] == "Bearer realm=\"tessera\"")
    }

    private func send(
        _ token: String?,
        to requirement: ClaimRequirement,
        trusting issuer: TestIssuer
    ) async throws -> TestResponse {
        let router = Router(context: MiddlewareTests.Context.self)
        router.add(middleware: TokenVerifierMiddleware(verifier: try verifier(trusting: issuer), mode: .optional))
        router.add(middleware: ClaimRequirementMiddleware(requirement, clock: { Self.now }))
        router.get("/") { _, _ in "in" }
        var logger = Logger(label: "test.requirements")
        logger.logLevel = .critical
        return try await Application(router: router, logger: logger).test(.router) { client in
            let headers: HTTPFields = token.map { [.authorization: "Bearer \($0)"] } ?? [:]
            return try await client.execute(uri: "/", method: .get, headers: headers)
        }
    }
}
