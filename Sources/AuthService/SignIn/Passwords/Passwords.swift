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
    /// Of a change.
    case wrongCurrentPassword
    case refused(SignInError)
    case fault(any Error)

    /// Whether a change was no guess: nothing was judged, or the current password was right.
    fileprivate var isNoGuess: Bool {
        switch self {
        case .refused(let error): error.isUndecided
        case .unacceptable, .fault: true
        case .emailTaken, .noSuchUser, .wrongCurrentPassword: false
        }
    }
}

package struct Passwords: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let ids: IDGenerator
    let policy: PasswordPolicy
    let hasher: any PasswordHashingService
    let users: Users
    let accounts: Accounts
    let costs: PasswordCosts
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
                guard let signedIn = try await signIn.open(proof, on: nil, in: transaction, context, at: now) else {
                    throw PasswordError.emailTaken
                }
                return signedIn
            } catch let error as SignInError {
                throw PasswordError.refused(error)
            }
        }
    }

    /// Makes a user without a session. `attempt`: the request's key, which is noted beside the user.
    package func create(
        _ signup: Signup,
        role: Role,
        actor: String?,
        from clientInfo: ClientInfo,
        once attempt: IdempotentAttempt? = nil
    ) async throws(PasswordError) -> User {
        try await PasswordError.catching {
            let hash = try await newHash(signup.password, own: [RequestText(signup.email.address), signup.name])
            let now = clock.now()
            let id = ids.make(at: now)
            var transaction = Transaction()
            let created = addCreation(
                of: id,
                signup: signup,
                role: role,
                hash: hash,
                loggedInAt: nil,
                actor: actor,
                from: clientInfo,
                at: now,
                to: &transaction
            )
            if let attempt { transaction.add(IdempotencyKeys.mark(user: id, madeBy: attempt)) }
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
            // A stolen access token must not allow unlimited guesses of the password. The counter is not that of
            // logins: neither of the two delays the other.
            let attempt: Attempt
            switch try await throttle.attempt(.passwordChange, on: user.id) {
            case .counted(let counted): attempt = counted
            case .delayed(let refusal): throw PasswordError.refused(.rateLimited(refusal))
            }
            do throws(PasswordError) {
                try await replace(of: user, session: session, current: current, new: new, from: clientInfo)
            } catch {
                if error.isNoGuess { try? await throttle.discount(attempt) }
                throw error
            }
            try await throttle.succeeded(attempt)
        }
    }

    private func replace(
        of user: User,
        session: String,
        current: RequestText,
        new: RequestText,
        from clientInfo: ClientInfo
    ) async throws(PasswordError) {
        try await PasswordError.catching {
            let wrong = PasswordError.wrongCurrentPassword
            guard let credentials = try await accounts.credentials(user: user.id),
                !current.hasMore(scalarsThan: PasswordPolicy.maximum)
            else { throw wrong }
            let verdict: PasswordVerdict
            do throws(HashingError) {
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
    }

    private func newHash(_ password: RequestText, own: [RequestText?]) async throws -> String {
        if let violation = policy.violation(password, own: own) { throw PasswordError.unacceptable(violation) }
        do { return try await hasher.hash(password.verbatim) } catch { throw PasswordError.refused(SignInError(error)) }
    }
}
