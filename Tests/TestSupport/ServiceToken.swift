// Signs a service's token with the deployment's own key from the database, for tests without the token endpoint. Its
// client is in the database too, since auth looks for it.
internal import Foundation
package import OpenSSLCrypto
package import Storage

package enum ServiceToken {
    /// Makes a token that auth accepts, and its client if it is missing.
    ///
    /// - Parameters:
    ///   - database: auth's, with its signing keys.
    ///   - ring: the master keys, as in `TESSERA_MASTER_KEY`.
    ///   - issuer: `iss`.
    ///   - scope: separated by spaces.
    ///   - seconds: the time of issue, in seconds since 1970. It lives for a day.
    /// - Returns: the token.
    /// - Throws: why none could be made.
    package static func mint(
        _ database: any SQLDatabase,
        ring: String,
        issuer: String,
        scope: String = "events",
        at seconds: Int64 = Int64(Date().timeIntervalSince1970)
    ) async throws -> String {
        _ = try await database.run(client.bind(["now": Instant(seconds: seconds)]))
        let payload = """
            {"iss":"\(issuer)","sub":"client_test","aud":["tessera","chat"],"exp":\(seconds + 86_400),\
            "iat":\(seconds),"jti":"\(UUID().uuidString)","client_id":"test","scope":"\(scope)"}
            """
        return try await signer(database, ring: ring).sign(Array(payload.utf8))
    }

    /// Signs access tokens with the deployment's current key.
    ///
    /// - Parameters:
    ///   - database: auth's, with its signing keys.
    ///   - ring: the master keys, as in `TESSERA_MASTER_KEY`.
    /// - Returns: the signer.
    /// - Throws: when there is no key, or the ring cannot decrypt it.
    package static func signer(_ database: any SQLDatabase, ring: String) async throws -> JWSSigner {
        guard let row = try await database.run(currentKey.bind()).first,
            let algorithm = SigningAlgorithm(rawValue: try row.text("alg"))
        else { throw TestDatabaseError(description: "there is no current signing key") }
        let kid = try row.text("kid")
        let pkcs8 = try MasterKeyRing(base64Ring: ring)
            .open(try row.bytes("private_key"), associatedData: Array("signing_keys/\(kid)/private_key".utf8))
        return JWSSigner(type: "at+jwt", keyID: kid, key: try SigningKey(pkcs8: pkcs8, algorithm: algorithm))
    }

    private static let client = Statement(
        "tests.client",
        .writes,
        ["now": .instant],
        """
        INSERT INTO clients (id, name, scopes, audiences, created_at, updated_at)
        VALUES ('test', 'Test', 'events', 'tessera chat', :now, :now) ON CONFLICT (id) DO NOTHING
        """
    )

    private static let currentKey = Statement(
        "tests.current_key",
        .reads,
        "SELECT kid, alg, private_key FROM signing_keys WHERE state = 'current' ORDER BY kid LIMIT 1"
    )
}
