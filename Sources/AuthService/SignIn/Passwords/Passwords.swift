// Signup, login and password change: the only places where a password is seen.
//
// Order of a login: count the attempt (outside the login's unit, so that a refused login is still counted), read the
// stored hash, verify it on the hasher's threads, then one unit that takes the user's row and opens the session only
// if the hash that was verified is still the user's. Whoever changed it in between wins.
//
// SECURITY: an unknown address costs a hash too, and gets the same answer: neither text nor time tells who exists.
import Logging
import Metrics
import OpenSSLCrypto
import PasswordHashing
package import ServiceKit
package import Storage

/// A request to make a user.
package struct Signup: Sendable {
    package let email: Email
    package let password: String
    package let name: String?

    package init(email: Email, password: String, name: String?) {
        self.email = email
        self.password = password
        self.name = name
    }
}

package struct Passwords: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let policy: PasswordPolicy
    let hasher: PasswordHasher
    let users: Users
    let accounts: Accounts
    let sessions: Sessions
    let tokens: Tokens
    let events: Events
    let audit: Audit
    /// Called between the check of a hash and the unit that relies on it; tests hold a login here.
    var afterVerification: @Sendable () async -> Void = {}

    // MARK: Signup

    /// Makes a user with a password and a session.
    package func signUp(_ signup: Signup, origin: Origin, cookie: SessionCookie?) async throws -> Grant {
        let hash = try await newHash(signup.password, own: [signup.email.address, signup.name])
        let now = clock.now()
        let user = newID(at: now)
        let opening = SessionOpening(user: user, passwordHash: hash, origin: origin, amr: "pwd", cookie: cookie)
        var transaction = Transaction()
        addCreation(
            of: user,
            signup,
            role: .user,
            hash: hash,
            loggedInAt: now,
            actor: user,
            origin: origin,
            at: now,
            to: &transaction
        )
        return try await open(opening, in: transaction, at: now, refused: .emailTaken)
    }

    /// Makes a user without a session: what admins and the command line do.
    package func create(_ signup: Signup, role: Role, actor: String?, origin: Origin) async throws -> User {
        let hash = try await newHash(signup.password, own: [signup.email.address, signup.name])
        let now = clock.now()
        let user = newID(at: now)
        var transaction = Transaction()
        let created = addCreation(
            of: user,
            signup,
            role: role,
            hash: hash,
            loggedInAt: nil,
            actor: actor,
            origin: origin,
            at: now,
            to: &transaction
        )
        guard let row = try await database.run(transaction)[created].first else { throw APIError(.emailTaken) }
        return try User(row)
    }

    /// Adds the statements that make a user. The first, whose handle it returns, yields no row when the address is taken,
    /// and then the others do nothing.
    @discardableResult
    private func addCreation(
        of user: String,
        _ signup: Signup,
        role: Role,
        hash: String,
        loggedInAt login: Instant?,
        actor: String?,
        origin: Origin,
        at now: Instant,
        to transaction: inout Transaction
    ) -> Transaction.Handle {
        let created = transaction.add(
            users.insertion(id: user, email: signup.email, name: signup.name, role: role, loggedInAt: login, at: now)
        )
        transaction.add(accounts.passwordInsertion(user: user, hash: hash, at: now))
        transaction.add(events.userCreated(user, name: signup.name, at: now))
        transaction.add(audit.entry("user.create", actor: actor, ifUserExists: user, origin: origin, at: now))
        return created
    }

    // MARK: Login

    /// Opens a session for whoever knows the password.
    package func logIn(email: Email?, password: String, origin: Origin, cookie: SessionCookie?) async throws -> Grant {
        let credentials = try await email.asyncFlatMap { try await accounts.credentials(email: $0) }
        guard let credentials, password.utf8.count <= PasswordPolicy.maximum else {
            try await hashing { try await hasher.verifyAgainstNothing(String(password.prefix(PasswordPolicy.maximum))) }
            throw try await refused(target: nil, origin: origin)
        }
        let verdict = try await hashing { try await hasher.verify(password, against: credentials.hash) }
        guard case .matches(let needsRehash) = verdict else {
            throw try await refused(target: credentials.userID, origin: origin)
        }
        // Told only to whoever knows the password.
        guard credentials.isActive else {
            throw try await refused(target: credentials.userID, origin: origin, as: .userInactive)
        }
        let rehashed = needsRehash ? try await hashing { try await hasher.hash(password) } : nil
        await afterVerification()

        let now = clock.now()
        let user = credentials.userID
        let opening = SessionOpening(
            user: user,
            passwordHash: credentials.hash,
            origin: origin,
            amr: "pwd",
            cookie: cookie
        )
        let upgrade = rehashed.map {
            accounts.passwordReplacement(user: user, verified: credentials.hash, new: $0, at: now)
        }
        var transaction = Transaction()
        transaction.add(users.lockForLogin(user, at: now))
        return try await open(opening, in: transaction, then: upgrade, at: now, refused: .invalidCredentials)
    }

    private func refused(
        target: String?,
        origin: Origin,
        as code: ErrorCode = .invalidCredentials
    ) async throws -> APIError {
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "refused")]).increment()
        let entry = audit.entry(
            "session.login",
            actor: nil,
            target: target,
            origin: origin,
            outcome: "refused",
            at: clock.now()
        )
        _ = try await database.run(entry)
        return APIError(code)
    }

    /// Adds the session and its refresh token to what comes before them, and `last`, and reads what they left behind.
    private func open(
        _ opening: SessionOpening,
        in transaction: consuming Transaction,
        then last: BoundStatement? = nil,
        at now: Instant,
        refused: ErrorCode
    ) async throws -> Grant {
        let session = sessions.newID(at: now)
        let refresh = tokens.opening(session: session, at: now)
        transaction.add(sessions.opening(opening, id: session, at: now))
        transaction.add(refresh.statement)
        transaction.add(
            audit.entry(
                "session.login",
                actor: opening.user,
                ifSessionLives: session,
                origin: opening.origin,
                at: now
            )
        )
        if let last { transaction.add(last) }
        let opened = transaction.add(sessions.stateWithUser(session))
        guard let row = try await database.run(transaction)[opened].first else { throw APIError(refused) }
        // On PostgreSQL each statement has its own look at the data: everything may have been revoked since the first.
        let state = try SessionState(row)
        if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) { throw refusal }
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "success")]).increment()
        return try tokens.grant(
            state,
            refreshToken: opening.cookie == nil ? refresh.token : nil,
            showing: try User(row),
            at: now
        )
    }

    // MARK: Change

    /// Sets a new password and ends every other session of the user.
    package func change(
        user: User,
        session: String,
        current: String,
        new: String,
        origin: Origin
    ) async throws {
        guard let credentials = try await accounts.credentials(user: user.id) else {
            throw APIError(.invalidCredentials)
        }
        guard current.utf8.count <= PasswordPolicy.maximum else { throw APIError(.invalidCredentials) }
        let verdict = try await hashing { try await hasher.verify(current, against: credentials.hash) }
        guard case .matches = verdict else { throw APIError(.invalidCredentials) }
        let hash = try await newHash(new, own: [user.email, user.name])
        await afterVerification()
        let now = clock.now()
        var transaction = Transaction(locking: user.id)
        let replaced = transaction.add(
            accounts.passwordReplacement(user: user.id, verified: credentials.hash, new: hash, at: now)
        )
        transaction.add(users.bumpVersion(user.id, ifPasswordIs: hash, marker: now))
        transaction.add(Sessions.revocation(ofUser: user.id, except: session, ifPasswordIs: hash, at: now))
        transaction.add(events.userTokensRevoked(user: user.id, marker: now, exceptSession: session, at: now))
        transaction.add(
            audit.entry(
                "password.change",
                actor: user.id,
                ifUserChanged: user.id,
                marker: now,
                origin: origin,
                at: now
            )
        )
        // Changed elsewhere between the check and this transaction: what was proved is no longer true.
        guard try await database.run(transaction)[replaced].affected == 1 else { throw APIError(.invalidCredentials) }
    }

    // MARK: Hashing

    private func newHash(_ password: String, own: [String?]) async throws -> String {
        if let complaint = policy.complaint(password, own: own) {
            throw APIError(.validationFailed, fields: [complaint])
        }
        return try await hashing { try await hasher.hash(password) }
    }

    private func hashing<T: Sendable>(_ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as HashingError {
            switch error {
            case .overloaded(let seconds): throw APIError.retry(.hashingOverloaded, afterSeconds: seconds)
            case .cancelled: throw CancellationError()
            default: throw error
            }
        }
    }

    private func newID(at now: Instant) -> String {
        UUIDv7.make(milliseconds: now.microseconds / 1000, random: random)
    }
}

extension Optional {
    fileprivate func asyncFlatMap<T>(_ transform: (Wrapped) async throws -> T?) async rethrows -> T? {
        guard let self else { return nil }
        return try await transform(self)
    }
}
