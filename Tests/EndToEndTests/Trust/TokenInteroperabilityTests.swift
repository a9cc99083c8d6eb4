// Four other JOSE implementations verify Tessera's tokens with the published keys: PyJWT, joserfc, Authlib and
// jwcrypto.
import Foundation
import TestSupport
import Testing

@Suite("Access tokens, verified by others")
struct TokenInteroperabilityTests {
    @Test(
        "PyJWT, joserfc, Authlib and jwcrypto accept a live token from the live JWKS, and none does when it is tampered with",
        arguments: ["ES256", "EdDSA", "RS256"]
    )
    func verify(algorithm: String) async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_SIGNING_ALG": algorithm])
        let process = try await installation.startAuth()
        let signup = try await installation.auth.signUp("ada@example.com")
        #expect(signup.status == 201)
        let token = try #require(signup["access_token"].string)
        let user = try #require(signup["user"]["id"].string)

        for library in ["pyjwt", "joserfc", "authlib", "jwcrypto"] {
            let verified = try await Self.verify(token, library, algorithm, installation)
            #expect(verified.exit == .status(0), "\(library): \(verified.output)")
            let result = try JSONValue(parsing: verified.output)
            #expect(result["header"]["alg"].string == algorithm)
            #expect(result["header"]["typ"].string == "at+jwt")
            #expect(result["claims"]["sub"].string == user)
            #expect(result["claims"]["iss"].string == installation.auth.base)

            for tampered in try Self.tampered(token) {
                let refused = try await Self.verify(tampered, library, algorithm, installation)
                #expect(refused.exit == .status(3), "\(library): \(refused.output)")
                #expect(refused.output.hasPrefix("refused: "), "\(library): \(refused.output)")
            }
            let elsewhere = try await Self.verify(token, library, algorithm, installation, audience: "elsewhere")
            #expect(elsewhere.exit == .status(3), "\(library): \(elsewhere.output)")
        }
        try await process.terminate()
    }

    /// Another role in the payload, and one changed character of the signature.
    static func tampered(_ token: String) throws -> [String] {
        let parts = token.split(separator: ".").map(String.init)
        try #require(parts.count == 3)
        let padded = parts[1].replacing("-", with: "+").replacing("_", with: "/")
        let payload = padded + String(repeating: "=", count: (4 - padded.count % 4) % 4)
        let claims = String(decoding: try #require(Data(base64Encoded: payload)), as: UTF8.self)
        let promoted = claims.replacing(#""role":"user""#, with: #""role":"admin""#)
        try #require(promoted != claims)
        let encoded = Data(promoted.utf8).base64EncodedString()
            .replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
        var signature = Array(parts[2])
        signature[5] = signature[5] == "A" ? "B" : "A"
        return ["\(parts[0]).\(encoded).\(parts[2])", "\(parts[0]).\(parts[1]).\(String(signature))"]
    }

    private static func verify(
        _ token: String,
        _ library: String,
        _ algorithm: String,
        _ installation: Installation,
        audience: String = "chat"
    ) async throws -> (exit: ServerProcess.Exit, output: String) {
        let script = Installation.repository.appending(path: "Tests/Interop/verify_\(library).py").path
        let jwks = "\(installation.auth.base)/.well-known/jwks.json"
        let python = try ServerProcess(
            executable: Installation.python,
            arguments: ["-W", "ignore", script, jwks, algorithm, installation.auth.base, audience],
            environment: [:],
            folder: installation.folder,
            input: token
        )
        return (try await python.waitForExit(), python.output)
    }
}
