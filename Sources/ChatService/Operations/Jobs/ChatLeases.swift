import ServiceKit
import Storage

extension JobLease {
    private static let table = JobLeaseTable(
        time: .seconds(15),
        retryInterval: .seconds(3),
        statements: LeaseStatements.self
    )

    /// `holder` names this node, and no other.
    convenience init(_ job: String, holder: String, database: any SQLDatabase, clock: Clock) {
        self.init(job, holder: holder, in: Self.table, of: database, clock: clock)
    }
}
