// SQL of `job_leases`.
import Storage

enum CleanupStatements {
    static let job = "cleanup"

    /// Zero rows while another holder's lease runs.
    static let take = Statement(
        "cleanup.take",
        .writes,
        [.text, .text, .instant, .instant],
        """
        INSERT INTO job_leases (name, holder, expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE job_leases.expires_at <= $4 OR job_leases.holder = $2
        RETURNING name
        """
    )

    static let release = Statement(
        "cleanup.release",
        .writes,
        [.text, .text, .instant, .text],
        "UPDATE job_leases SET expires_at = $3, last_run_at = $3, last_result = $4 WHERE name = $1 AND holder = $2"
    )

    static let all = [take, release]
}
