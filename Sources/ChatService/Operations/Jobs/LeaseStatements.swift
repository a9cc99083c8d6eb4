import ServiceKit
import Storage

enum LeaseStatements: JobLeaseStatements {
    private static let take = Statement(
        "leases.take",
        .writes,
        ["job": .text, "holder": .text, "end": .instant, "now": .instant],
        """
        INSERT INTO job_leases (name, holder, expires_at) VALUES (:job, :holder, :end)
        ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE job_leases.expires_at <= :now OR job_leases.holder = :holder
        """
    )

    /// Zero rows while another holder's lease is valid.
    static func take(job: String, holder: String, until end: Instant, at now: Instant) -> BoundStatement {
        take.bind(["job": job, "holder": holder, "end": end, "now": now])
    }

    private static let release = Statement(
        "leases.release",
        .writes,
        ["job": .text, "holder": .text, "now": .instant],
        "UPDATE job_leases SET expires_at = :now WHERE name = :job AND holder = :holder"
    )

    /// This table keeps no result.
    static func release(job: String, holder: String, result: String?, at now: Instant) -> BoundStatement {
        release.bind(["job": job, "holder": holder, "now": now])
    }

    private static let removeProbe = Statement(
        "leases.remove_probe",
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
