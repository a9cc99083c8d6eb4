// A transaction that begins with the user's row, which is the lock of everything that creates or ends sessions.
//
// Conditions that another transaction may change are in later statements, which see everything committed before the
// lock was granted.
import Storage

extension Transaction {
    init(locking user: String) {
        self.init()
        add(UserStatements.lock(id: user))
    }

    mutating func lockUser(ofSession session: String) { add(UserStatements.lock(ofSession: session)) }
}
