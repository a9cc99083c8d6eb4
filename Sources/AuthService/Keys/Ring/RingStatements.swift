// SQL of `ring_entries` and `ring_nodes`. Both are a handful of rows.
import OpenSSLCrypto
import Storage

enum RingStatements {
    private static let allEntries = Statement(
        "ring.entries",
        .reads,
        """
        SELECT key_id, fingerprint, registered_at, primary_at, withdrawn_at FROM ring_entries
        ORDER BY registered_at, key_id
        """
    )

    static func entries() -> BoundStatement { allEntries.bind() }

    private static let register = Statement(
        "ring.register",
        .writes,
        ["key_id": .integer, "fingerprint": .text, "now": .instant],
        """
        INSERT INTO ring_entries (key_id, fingerprint, registered_at) VALUES (:key_id, :fingerprint, :now)
        ON CONFLICT DO NOTHING
        """
    )

    /// Affects no row if the entry is registered, or another living one has its id.
    static func register(key: MasterKey, at now: Instant) -> BoundStatement {
        register.bind(["key_id": Int64(key.id), "fingerprint": key.fingerprint, "now": now])
    }

    private static let becomePrimary = Statement(
        "ring.become_primary",
        .writes,
        ["key_id": .integer, "fingerprint": .text, "now": .instant],
        """
        UPDATE ring_entries SET primary_at = :now
        WHERE key_id = :key_id AND fingerprint = :fingerprint AND withdrawn_at IS NULL
        """
    )

    static func becomePrimary(key: MasterKey, at now: Instant) -> BoundStatement {
        becomePrimary.bind(["key_id": Int64(key.id), "fingerprint": key.fingerprint, "now": now])
    }

    private static let withdraw = Statement(
        "ring.withdraw",
        .writes,
        ["key_id": .integer, "fingerprint": .text, "now": .instant, "running": .instant],
        """
        UPDATE ring_entries SET withdrawn_at = :now
        WHERE key_id = :key_id AND fingerprint = :fingerprint AND withdrawn_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM ring_nodes WHERE primary_id = :key_id AND seen_at > :running)
        """
    )

    /// Affects no row while a node that was seen after `running` makes new tokens with the entry.
    static func withdraw(entry: RingEntry, ifNotPrimarySince running: Instant, at now: Instant) -> BoundStatement {
        withdraw.bind([
            "key_id": Int64(entry.keyID), "fingerprint": entry.fingerprint, "now": now, "running": running,
        ])
    }

    private static let allNodes = Statement(
        "ring.nodes",
        .reads,
        ["limit": .integer],
        """
        SELECT id, name, primary_id, key_ids, started_at, seen_at FROM ring_nodes
        ORDER BY seen_at DESC, id LIMIT :limit
        """
    )

    /// The latest first.
    static func nodes(limit: Int) -> BoundStatement { allNodes.bind(["limit": Int64(limit)]) }

    private static let seen = Statement(
        "ring.seen",
        .writes,
        [
            "id": .text, "name": .text, "primary_id": .integer, "key_ids": .text, "started": .instant, "now": .instant,
        ],
        """
        INSERT INTO ring_nodes (id, name, primary_id, key_ids, started_at, seen_at)
        VALUES (:id, :name, :primary_id, :key_ids, :started, :now)
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
        """
    )

    static func seen(
        node id: String,
        name: String,
        ring: MasterKeyRing,
        startedAt: Instant,
        at now: Instant
    ) -> BoundStatement {
        seen.bind([
            "id": id, "name": name, "primary_id": Int64(ring.primary.id),
            "key_ids": ring.keys.map { Hex.encode([$0.id]) }.joined(separator: " "), "started": startedAt, "now": now,
        ])
    }

    private static let forgetNodes = Statement(
        "ring.forget_nodes",
        .writes,
        ["before": .instant, "most": .integer],
        """
        DELETE FROM ring_nodes WHERE seen_at < :before
            OR id IN (SELECT id FROM ring_nodes ORDER BY seen_at DESC, id LIMIT 1000 OFFSET :most)
        """
    )

    /// Keeps the `most` nodes that were seen last.
    static func forgetNodes(before: Instant, keeping most: Int) -> BoundStatement {
        forgetNodes.bind(["before": before, "most": Int64(most)])
    }

    private static let leave = Statement(
        "ring.leave",
        .writes,
        ["id": .text],
        "DELETE FROM ring_nodes WHERE id = :id"
    )

    static func leave(node id: String) -> BoundStatement { leave.bind(["id": id]) }

    private static let refreshTokens = Statement(
        "ring.count_refresh_tokens",
        .reads,
        ["now": .instant],
        """
        SELECT r.key_id, COUNT(*) AS n FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id
        WHERE r.expires_at > :now AND s.revoked_at IS NULL
        GROUP BY r.key_id
        """
    )

    /// Unexpired tokens of sessions that were not ended, by entry. It reads them all.
    static func refreshTokens(at now: Instant) -> BoundStatement { refreshTokens.bind(["now": now]) }

    static let all = [
        allEntries, register, becomePrimary, withdraw, allNodes, seen, forgetNodes, leave, refreshTokens,
    ]
}
