// A transaction that begins with a user's row: the lock of everything that makes or ends sessions.
//
// Conditions that another transaction may change stand in later statements, which see what was committed before the
// lock was granted.
import Storage

extension Transaction {
    /// Locks the user's row first.
    init(locking user: String) {
        self.init()
        add(UserStatements.lock(id: user))
    }

    /// Locks the row of the session's user.
    mutating func lockUser(ofSession session: String) { add(UserStatements.lock(ofSession: session)) }
}
