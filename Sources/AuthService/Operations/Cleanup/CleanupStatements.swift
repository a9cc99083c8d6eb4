import ServiceKit
import Storage

enum CleanupStatements: JobLeaseStatements {
    private static let take = Statement(
        "cleanup.take",
        .writes,
        ["job": .text, "holder": .text, "end": .instant, "now": .instant],
        """
        INSERT INTO job_leases (name, holder, expires_at) VALUES (:job, :holder, :end)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE job_leases.expires_at <= :now OR job_leases.holder = :holder
        RETURNING name
        """
    )

    /// Zero rows while another holder's lease is valid.
    static func take(job: String, holder: String, until end: Instant, at now: Instant) -> BoundStatement {
        take.bind(["job": job, "holder": holder, "end": end, "now": now])
    }

    private static let release = Statement(
        "cleanup.release",
        .writes,
        ["job": .text, "holder": .text, "now": .instant, "result": .text],
        """
        UPDATE job_leases SET expires_at = :now,
            last_run_at = CASE WHEN :result IS NULL THEN last_run_at ELSE :now END,
            last_result = COALESCE(:result, last_result)
        WHERE name = :job AND holder = :holder
        """
    )

    /// Without a result the pass has failed, and the last result stays.
    static func release(job: String, holder: String, result: String?, at now: Instant) -> BoundStatement {
        release.bind(["job": job, "holder": holder, "now": now, "result": result])
    }

    private static let removeProbe = Statement(
        "cleanup.remove_probe",
        .writes,
        [:],
        "DELETE FROM job_leases WHERE name = 'readyz'"
    )

    /// For readiness: inserts and deletes a large row.
    static func writeProbe(at now: Instant) -> Transaction {
        Transaction([take(job: "readyz", holder: WriteProbe.filling(), until: now, at: now), removeProbe.bind()])
    }

    static let all = [take, release, removeProbe]
}
