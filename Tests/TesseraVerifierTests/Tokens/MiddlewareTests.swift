import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import TesseraVerifierHummingbird
import Testing

@Suite("The middleware")
struct MiddlewareTests {
    struct Context: AuthenticatedRequestContext {
        var coreContext: CoreRequestContextStorage
        /// Left there by a careless service.
        var accessToken: AccessTokenClaims? = AccessTokenClaims(
            issuer: "nobody",
            subject: "left-behind",
            audience: [],
            expiresAt: 0,
            issuedAt: 0,
            tokenID: ""
        )

        init(source: ApplicationRequestContextSource) {
            coreContext = .init(source: source)
        }
    }

    private struct Refuses: RevocationLookup {
        let error: any Error
        func check(_ claims: AccessTokenClaims) async throws { throw error }
    }

    private struct Answer {
        let status: HTTPResponse.Status
        let body: String
        let headers: HTTPFields
    }

    private func send(
        _ authorization: [String],
        verifier: TokenVerifier,
        mode: TokenVerifierMiddleware<Context>.Mode = .required,
        requireUser: Bool = true,
        realm: String = "tessera",
        failure: @escaping @Sendable (TokenFailure) -> any Error = { $0.httpError }
    ) async throws -> Answer {
        let router = Router(context: Context.self)
        router.add(
            middleware: TokenVerifierMiddleware(
                verifier: verifier,
                mode: mode,
                requireUser: requireUser,
                realm: realm,
                failure: failure
            )
        )
        router.get("/") { _, context in context.accessToken?.subject ?? "nobody" }
        var logger = Logger(label: "test.middleware")
        logger.logLevel = .critical
        return try await Application(router: router, logger: logger).test(.router) { client in
            var headers: HTTPFields = [:]
            headers[values: .authorization] = authorization
            return try await client.execute(uri: "/", method: .get, headers: headers) { response in
                Answer(status: response.status, body: String(buffer: response.body), headers: response.headers)
            }
        }
    }

    @Test("a good token lets the request through with its claims", arguments: ["Bearer", "bearer", "BEARER", "bEaReR"])
    func good(_ scheme: String) async throws {
        let issuer = try TestIssuer()
        for space in [" ", "  "] {
            let answer = try await send([scheme + space + issuer.token()], verifier: verifier(trusting: issuer))
            #expect(answer.status == .ok)
            #expect(answer.body == "user-1")
        }
    }

    @Test(
        "without a bearer token there is a challenge, and it names no error",
        arguments: [[], ["Basic dTpw"], [""], ["Bearerish x"]]
    )
    func missing(_ headers: [String]) async throws {
        let verifier = try verifier(trusting: try TestIssuer())
        let answer = try await send(headers, verifier: verifier)
        #expect(answer.status == .unauthorized)
        #expect(answer.headers[.wwwAuthenticate] == "Bearer realm=\"tessera\"")
        #expect(answer.body.contains("token_missing"))

        let optional = try await send(headers, verifier: verifier, mode: .optional)
        #expect(optional.status == .ok)
        #expect(optional.body == "nobody")
    }

    @Test(
        "a token that is there and bad is refused in both modes",
        arguments: [
            TokenVerifierMiddleware<Context>.Mode.required, .optional,
        ]
    )
    func bad(_ mode: TokenVerifierMiddleware<Context>.Mode) async throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let token = try issuer.token()
        let bad: [([String], String)] = [
            (["Bearer \(token)x"], "token_invalid"), (["Bearer"], "token_invalid"), (["Bearer "], "token_invalid"),
            (["Bearer \(token) \(token)"], "token_invalid"), (["Bearer \(token)", "Bearer \(token)"], "token_invalid"),
            (["Bearer \(token), Bearer \(token)"], "token_invalid"),
            (["Basic dTpw", "Bearer \(token)"], "token_invalid"),
            (["Bearer\t\(token)"], mode == .required ? "token_missing" : ""),
            (["Bearer \(try TestIssuer().token())"], "token_invalid"),
            (["Bearer \(try issuer.token(["exp": "1"]))"], "token_expired"),
        ]
        for (headers, code) in bad where !code.isEmpty {
            let answer = try await send(headers, verifier: verifier, mode: mode)
            #expect(answer.status == .unauthorized, "\(headers)")
            #expect(answer.body.contains(code), "\(headers)")
            if code != "token_missing" {
                #expect(
                    answer.headers[.wwwAuthenticate]
                        == "Bearer realm=\"tessera\", error=\"invalid_token\", error_description=\"\(code)\""
                )
            }
        }
    }

    @Test("revoked and stale tokens are told apart")
    func revocations() async throws {
        let issuer = try TestIssuer()
        let token = "Bearer \(try issuer.token())"
        for (code, wanted) in [(VerificationError.Code.revoked, "session_revoked"), (.stale, "token_stale")] {
            let verifier = try verifier(trusting: issuer, lookup: Refuses(error: VerificationError(code)))
            let answer = try await send([token], verifier: verifier)
            #expect(answer.status == .unauthorized)
            #expect(answer.body.contains(wanted))
            #expect(answer.headers[.wwwAuthenticate]?.contains("error_description=\"\(wanted)\"") == true)
        }
    }

    @Test("while no key can be had the answer is 503, to be tried again, without a challenge")
    func keysUnavailable() async throws {
        let answer = try await send(["Bearer \(try TestIssuer().token())"], verifier: try verifier())
        #expect(answer.status == .serviceUnavailable)
        #expect(answer.headers[.retryAfter] == "1")
        #expect(answer.headers[.wwwAuthenticate] == nil)
        #expect(answer.body.contains("keys_unavailable"))
    }

    @Test("the error of a source that cannot tell reaches the service as it is")
    func faults() async throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer, lookup: Refuses(error: HTTPError(.badGateway)))
        let answer = try await send(["Bearer \(try issuer.token())"], verifier: verifier) { _ in HTTPError(.conflict) }
        #expect(answer.status == .badGateway)
    }

    @Test("a service's token passes only where no user is required")
    func services() async throws {
        let issuer = try TestIssuer()
        let verifier = try verifier(trusting: issuer)
        let token = "Bearer \(try issuer.token(["sub": "\"client_worker\"", "sid": nil]))"
        let refused = try await send([token], verifier: verifier)
        #expect(refused.status == .unauthorized)
        #expect(refused.body.contains("token_invalid"))
        let accepted = try await send([token], verifier: verifier, requireUser: false)
        #expect(accepted.body == "client_worker")
    }

    @Test("the service makes the answer out of the failure, and the realm is quoted")
    func ownErrors() async throws {
        let issuer = try TestIssuer()
        let answer = try await send(
            ["Bearer \(try issuer.token(["jti": nil]))"],
            verifier: try verifier(trusting: issuer),
            realm: #"a "b" \c"#
        ) { failure in
            HTTPError(
                failure.status,
                headers: failure.headers,
                message: "\(failure.code): \(failure.error?.claim ?? "")"
            )
        }
        #expect(answer.status == .unauthorized)
        #expect(answer.body.contains("token_invalid: jti"))
        #expect(
            answer.headers[.wwwAuthenticate]?.hasPrefix(#"Bearer realm="a \"b\" \\c", error="invalid_token""#) == true
        )
    }

    @Test("each reason has the code that is documented")
    func codes() {
        #expect(
            TokenFailure.Reason.allCases.map(\.rawValue) == [
                "token_missing", "token_invalid", "token_expired", "token_stale", "session_revoked", "user_inactive",
                "keys_unavailable", "revocations_unavailable", "insufficient_scope", "role_required",
                "insufficient_user_authentication",
            ]
        )
    }
}
