// SQL of `signing_keys`. Partial unique indexes allow one current and one next key per algorithm. So two nodes that
// start or rotate at once agree: the second one's statement affects nothing.
import OpenSSLCrypto
import Storage

enum SigningKeyStatements {
    private static let columns = "kid, alg, public_jwk, private_key, state, created_at, activated_at, retired_at"

    private static let allPublished = Statement(
        "signing_keys.published",
        .reads,
        "SELECT \(columns) FROM signing_keys WHERE state <> 'retired' ORDER BY created_at, kid"
    )

    static func published() -> BoundStatement { allPublished.bind() }

    private static let allKeys = Statement(
        "signing_keys.everything",
        .reads,
        "SELECT \(columns) FROM signing_keys ORDER BY created_at, kid"
    )

    static func everything() -> BoundStatement { allKeys.bind() }

    private static let insert = Statement(
        "signing_keys.insert",
        .writes,
        [
            "kid": .text, "alg": .text, "jwk": .text, "private_key": .bytes, "state": .text, "now": .instant,
            "activated": .instant,
        ],
        """
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key, state, created_at, activated_at)
        VALUES (:kid, :alg, :jwk, :private_key, :state, :now, :activated)
        ON CONFLICT DO NOTHING
        """
    )

    static func insert(key: NewSigningKey, state: String, activatedAt: Instant?, at now: Instant) -> BoundStatement {
        insert.bind([
            "kid": key.kid, "alg": key.algorithm.rawValue, "jwk": key.jwk, "private_key": key.sealed, "state": state,
            "now": now, "activated": activatedAt,
        ])
    }

    private static let demoteCurrent = Statement(
        "signing_keys.demote_current",
        .writes,
        ["alg": .text, "next": .text, "now": .instant],
        """
        UPDATE signing_keys SET state = 'previous', retired_at = :now
        WHERE alg = :alg AND state = 'current'
            AND EXISTS (SELECT 1 FROM signing_keys coming WHERE coming.kid = :next AND coming.state = 'next')
        """
    )

    /// Only if the next key can replace it.
    static func demoteCurrent(of algorithm: SigningAlgorithm, for next: String, at now: Instant) -> BoundStatement {
        demoteCurrent.bind(["alg": algorithm.rawValue, "next": next, "now": now])
    }

    private static let promoteNext = Statement(
        "signing_keys.promote_next",
        .writes,
        ["alg": .text, "next": .text, "now": .instant],
        """
        UPDATE signing_keys SET state = 'current', activated_at = :now
        WHERE kid = :next AND state = 'next'
            AND NOT EXISTS (SELECT 1 FROM signing_keys other WHERE other.alg = :alg AND other.state = 'current')
        """
    )

    static func promote(next: String, of algorithm: SigningAlgorithm, at now: Instant) -> BoundStatement {
        promoteNext.bind(["alg": algorithm.rawValue, "next": next, "now": now])
    }

    private static let insertNextAfterPromotion = Statement(
        "signing_keys.insert_next_after_promotion",
        .writes,
        ["kid": .text, "alg": .text, "jwk": .text, "private_key": .bytes, "now": .instant, "promoted": .text],
        """
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key, state, created_at)
        SELECT :kid, :alg, :jwk, :private_key, 'next', :now FROM signing_keys promoted
        WHERE promoted.kid = :promoted AND promoted.state = 'current' AND promoted.activated_at = :now
        ON CONFLICT DO NOTHING
        """
    )

    static func insertNext(key: NewSigningKey, afterPromotionOf kid: String, at now: Instant) -> BoundStatement {
        insertNextAfterPromotion.bind([
            "kid": key.kid, "alg": key.algorithm.rawValue, "jwk": key.jwk, "private_key": key.sealed, "now": now,
            "promoted": kid,
        ])
    }

    private static let retireSpent = Statement(
        "signing_keys.retire_spent",
        .writes,
        ["before": .instant],
        "UPDATE signing_keys SET state = 'retired' WHERE state = 'previous' AND retired_at < :before"
    )

    /// Keys whose last token has expired leave the JWKS.
    static func retireSpent(before: Instant) -> BoundStatement { retireSpent.bind(["before": before]) }

    private static let retire = Statement(
        "signing_keys.retire",
        .writes,
        ["kid": .text, "now": .instant],
        "UPDATE signing_keys SET state = 'retired', retired_at = :now WHERE kid = :kid AND state <> 'retired'"
    )

    static func retire(kid: String, at now: Instant) -> BoundStatement { retire.bind(["kid": kid, "now": now]) }

    static let all = [
        allPublished, allKeys, insert, demoteCurrent, promoteNext, insertNextAfterPromotion, retireSpent, retire,
    ]
}
