import ServiceKit
import Storage

extension JobLease {
    private static let table = JobLeaseTable(
        time: .seconds(15),
        retryInterval: .seconds(3),
        take: { LeaseStatements.take($0, holder: $1, until: $2, at: $3) },
        release: { job, holder, _, now in LeaseStatements.release(job, holder: holder, at: now) }
    )

    /// `holder` names this node, and no other.
    convenience init(_ job: String, holder: String, database: any SQLDatabase, clock: Clock) {
        self.init(job, holder: holder, in: Self.table, of: database, clock: clock)
    }
}
