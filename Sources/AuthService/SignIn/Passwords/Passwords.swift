// Creation of users with a password, and its change. Only this and `PasswordSignIn` see passwords.
import PasswordHashing
package import ServiceKit
import Storage

package struct Signup: Sendable {
    package let email: Email
    package let password: RequestText
    package let name: RequestText?
    /// The one audience of the first session's tokens; `nil` for all.
    var audience: String?

    package init(email: Email, password: RequestText, name: RequestText?) {
        self.email = email
        self.password = password
        self.name = name
    }
}

package enum PasswordError: Error, Sendable {
    case emailTaken
    case unacceptable(FieldError)
    case noSuchUser
    case refused(SignInError)
    case fault(any Error)
}

package struct Passwords: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let policy: PasswordPolicy
    let hasher: any PasswordHashingService
    let users: Users
    let accounts: Accounts
    let signIn: SignIn
    let throttle: Throttle
    let events: Events
    let audit: Audit

    /// Makes a user with a password and a session. `read` reads the admitted request; its errors are faults.
    func signUp(
        _ context: SignInContext,
        read: () async throws -> Signup
    ) async throws(PasswordError) -> SignedIn {
        try await PasswordError.catching {
            do {
                try await signIn.admit(.signup, context)
                let signup = try await read()
                let hash = try await newHash(signup.password, own: [RequestText(signup.email.address), signup.name])
                let now = clock.now()
                let user = ids.make(at: now)
                var transaction = Transaction()
                addCreation(
                    of: user,
                    signup: signup,
                    role: .user,
                    hash: hash,
                    loggedInAt: now,
                    actor: user,
                    from: context.clientInfo,
                    at: now,
                    to: &transaction
                )
                let proof = SignInProof(
                    user: user,
                    methods: [.password],
                    condition: .passwordIs(hash: hash),
                    audience: signup.audience
                )
                guard let signedIn = try await signIn.open(proof, in: transaction, context, at: now) else {
                    throw PasswordError.emailTaken
                }
                return signedIn
            } catch let error as SignInError {
                throw PasswordError.refused(error)
            }
        }
    }

    package func create(
        _ signup: Signup,
        role: Role,
        actor: String?,
        from clientInfo: ClientInfo
    ) async throws(PasswordError) -> User {
        try await PasswordError.catching {
            let hash = try await newHash(signup.password, own: [RequestText(signup.email.address), signup.name])
            let now = clock.now()
            var transaction = Transaction()
            let created = addCreation(
                of: ids.make(at: now),
                signup: signup,
                role: role,
                hash: hash,
                loggedInAt: nil,
                actor: actor,
                from: clientInfo,
                at: now,
                to: &transaction
            )
            guard let row = try await database.run(transaction)[created].first else { throw PasswordError.emailTaken }
            return try User(row)
        }
    }

    /// Adds the statements that make a user. The first, whose handle it returns, yields no row if the address is taken;
    /// then the others do nothing.
    @discardableResult
    private func addCreation(
        of user: String,
        signup: Signup,
        role: Role,
        hash: String,
        loggedInAt login: Instant?,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant,
        to transaction: inout Transaction
    ) -> Transaction.Handle {
        let created = transaction.add(
            users.insertion(id: user, email: signup.email, name: signup.name, role: role, loggedInAt: login, at: now)
        )
        transaction.add(accounts.passwordInsertion(user: user, hash: hash, at: now))
        transaction.add(events.userCreated(user: user, name: signup.name, at: now))
        transaction.add(audit.entry(action: "user.create", actor: actor, ifUserExists: user, from: clientInfo, at: now))
        return created
    }

    /// Ends every other session of the user.
    package func change(
        user id: String,
        session: String,
        current: RequestText,
        new: RequestText,
        from clientInfo: ClientInfo
    ) async throws(PasswordError) {
        try await PasswordError.catching {
            guard let user = try await users.find(id: id) else { throw PasswordError.noSuchUser }
            // With the errors of the other fields: the current password is judged, and counted, only for a request that
            // could succeed.
            let own = [user.email, user.name].map { $0.map { RequestText($0) } }
            if let violation = policy.violation(new, own: own) { throw PasswordError.unacceptable(violation) }
            // A stolen access token must not allow unlimited guesses of the password.
            let account = user.email.flatMap { Email($0) }?.key ?? user.id
            if let refusal = try await throttle.attempt(on: account) {
                throw PasswordError.refused(.rateLimited(refusal))
            }
            try await replace(of: user, session: session, current: current, new: new, from: clientInfo)
            try await throttle.succeeded(on: account)
        }
    }

    private func replace(
        of user: User,
        session: String,
        current: RequestText,
        new: RequestText,
        from clientInfo: ClientInfo
    ) async throws {
        let wrong = PasswordError.refused(.invalidCredentials(user: user.id))
        guard let credentials = try await accounts.credentials(user: user.id),
            !current.hasMore(scalarsThan: PasswordPolicy.maximum)
        else { throw wrong }
        let verdict: PasswordVerdict
        do {
            verdict = try await hasher.verify(current.verbatim, against: credentials.hash)
        } catch {
            throw PasswordError.refused(SignInError(error))
        }
        guard case .matches = verdict else { throw wrong }
        let hash = try await newHash(new, own: [user.email, user.name].map { $0.map { RequestText($0) } })
        let now = clock.now()
        var transaction = Transaction(locking: user.id)
        let replaced = transaction.add(
            accounts.passwordReplacement(user: user.id, verified: credentials.hash, new: hash, at: now)
        )
        transaction.add(users.bumpVersion(of: user.id, ifPasswordIs: hash, marker: now))
        transaction.add(Sessions.revocation(ofUser: user.id, except: session, ifPasswordIs: hash, at: now))
        transaction.add(events.userTokensRevoked(user: user.id, marker: now, exceptSession: session, at: now))
        transaction.add(
            audit.entry(
                action: "password.change",
                actor: user.id,
                ifUserChanged: user.id,
                marker: now,
                from: clientInfo,
                at: now
            )
        )
        // The password changed between the check and this transaction.
        guard try await database.run(transaction)[replaced].affected == 1 else { throw wrong }
    }

    private func newHash(_ password: RequestText, own: [RequestText?]) async throws -> String {
        if let violation = policy.violation(password, own: own) { throw PasswordError.unacceptable(violation) }
        do { return try await hasher.hash(password.verbatim) } catch { throw PasswordError.refused(SignInError(error)) }
    }
}
