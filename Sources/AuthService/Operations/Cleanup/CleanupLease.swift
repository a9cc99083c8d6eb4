// The lease of auth's cleanup, whose row keeps the last result.
import ServiceKit
import Storage

extension JobLease {
    /// `holder` names this node, and no other.
    static func cleanup(holder: String, database: any SQLDatabase, clock: Clock) -> JobLease {
        let table = JobLeaseTable(
            time: .seconds(300),
            // A pass asks once.
            retryInterval: .zero,
            statements: CleanupStatements.self
        )
        return JobLease("cleanup", holder: holder, in: table, of: database, clock: clock)
    }
}
