// The user's row is the lock, and conditions are in a later statement. The test keeps a half-done change open until a
// login waits behind it. With the condition in the waiting statement itself, a login on PostgreSQL would proceed with
// the old row.
import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Locks")
struct LockTests {
    struct Change: Sendable, CustomTestStringConvertible {
        let name: String
        let sql: String
        let answers: Set<Int>
        var testDescription: String { name }
    }

    static let changes = [
        Change(
            name: "a new password",
            sql: "UPDATE accounts SET password_hash = 'another' WHERE user_id = :user",
            answers: [401]
        ),
        Change(name: "a deactivation", sql: "UPDATE users SET is_active = FALSE WHERE id = :user", answers: [401]),
        Change(name: "a deletion", sql: "DELETE FROM users WHERE id = :user", answers: [401]),
        // The control: without a change logins pass, so the refusals mean something.
        Change(name: "no change", sql: "UPDATE users SET name = 'Ada' WHERE id = :user", answers: [200]),
    ]

    @Test("a login that waited for a change sees it", arguments: TestEngine.allCases, changes)
    func waitingLogin(engine: TestEngine, change: Change) async throws {
        try await withSeparateNodes(engine) { nodes in
            let (changing, loggingIn) = (nodes[0], nodes[1])
            let ada = try await changing.signUp()
            let held = Gate()
            let lock = Statement(
                "test.lock",
                .writes,
                ["user": .text],
                "UPDATE users SET token_version = token_version WHERE id = :user"
            )
            let step = Statement("test.change", .writes, ["user": .text], change.sql)
            async let changed: Void = changing.database.holdingTransaction { transaction in
                try transaction.run(lock.bind(["user": ada.userID]))
                held.enterAndWait()
                try transaction.run(step.bind(["user": ada.userID]))
            }
            try await eventually("the change has the user's row") { held.isEntered }
            loggingIn.barrier.holdNext()
            let login = Task { try await loggingIn.logInAnswer() }
            try await eventually("the password was found right") { loggingIn.barrier.holds }
            loggingIn.barrier.release()
            if engine == .postgres {
                // SQLite shows no waiters; there one writer excludes the other.
                try await eventually("the login waits for the row") {
                    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    return try await changing.count(waiting) > 0
                }
            }
            held.open()
            try await changed
            let answer = try await login.value
            #expect(change.answers.contains(answer.status), "\(answer.text)")
            let sessions = try await changing.count("sessions WHERE id <> '\(ada.sessionID)'")
            #expect(sessions == (change.answers.contains(200) ? 1 : 0))
        }
    }
}
