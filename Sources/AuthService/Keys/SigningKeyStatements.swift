// SQL of `signing_keys`. Partial unique indexes allow one current and one next key per algorithm, so that two nodes
// that start or rotate at once cannot disagree: the second one's statement affects nothing.
import Storage

enum SigningKeyStatements {
    private static let columns = "kid, alg, public_jwk, private_key, state, created_at, activated_at, retired_at"

    static let published = Statement(
        "signing_keys.published",
        .reads,
        [],
        "SELECT \(columns) FROM signing_keys WHERE state <> 'retired' ORDER BY created_at, kid"
    )

    static let everything = Statement(
        "signing_keys.everything",
        .reads,
        [],
        "SELECT \(columns) FROM signing_keys ORDER BY created_at, kid"
    )

    static let insert = Statement(
        "signing_keys.insert",
        .writes,
        [.text, .text, .text, .bytes, .text, .instant, .instant],
        """
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key, state, created_at, activated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING
        """
    )

    /// Steps the current key back if the next one is there to take its place.
    static let demoteCurrent = Statement(
        "signing_keys.demote_current",
        .writes,
        [.text, .text, .instant],
        """
        UPDATE signing_keys SET state = 'previous', retired_at = $3
        WHERE alg = $1 AND state = 'current'
            AND EXISTS (SELECT 1 FROM signing_keys coming WHERE coming.kid = $2 AND coming.state = 'next')
        """
    )

    static let promoteNext = Statement(
        "signing_keys.promote_next",
        .writes,
        [.text, .text, .instant],
        """
        UPDATE signing_keys SET state = 'current', activated_at = $3
        WHERE kid = $2 AND state = 'next'
            AND NOT EXISTS (SELECT 1 FROM signing_keys other WHERE other.alg = $1 AND other.state = 'current')
        """
    )

    static let insertNextAfterPromotion = Statement(
        "signing_keys.insert_next_after_promotion",
        .writes,
        [.text, .text, .text, .bytes, .instant, .text],
        """
        INSERT INTO signing_keys (kid, alg, public_jwk, private_key, state, created_at)
        SELECT $1, $2, $3, $4, 'next', $5 FROM signing_keys promoted
        WHERE promoted.kid = $6 AND promoted.state = 'current' AND promoted.activated_at = $5
        ON CONFLICT DO NOTHING
        """
    )

    /// Previous keys whose last token has expired leave the JWKS.
    static let retireSpent = Statement(
        "signing_keys.retire_spent",
        .writes,
        [.instant],
        "UPDATE signing_keys SET state = 'retired' WHERE state = 'previous' AND retired_at < $1"
    )

    static let retire = Statement(
        "signing_keys.retire",
        .writes,
        [.text, .instant],
        "UPDATE signing_keys SET state = 'retired', retired_at = $2 WHERE kid = $1 AND state <> 'retired'"
    )

    static let all = [
        published, everything, insert, demoteCurrent, promoteNext, insertNextAfterPromotion, retireSpent, retire,
    ]
}
