// The sequence of every sign-in method. A method proves the user, and cannot forget another step.
//
// 1. The request counts for its network, before its body is read.
// 2. The attempt counts for the account, in its own transaction: a refused sign-in counts, and a hundred concurrent
//    guesses are a hundred.
// 3. The method proves the user. A refused proof is audited.
// 4. One transaction takes the user's row, uses the proof up, and opens the session only if the proof's condition still
//    holds. A change in between wins.
// 5. The account's attempts are reset.
//
// A second factor comes between 3 and 4: its part of the proof can be stored until the answer comes.
import Metrics
import OpenSSLCrypto
import ServiceKit
import Storage

struct SignIn: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let throttle: Throttle
    let users: Users
    let sessions: Sessions
    let tokens: RefreshTokens
    let audit: Audit
    let cookies: SessionCookiePolicy
    let cookieLifetime: Duration

    /// `read` reads the method's input from the admitted request; its errors are faults.
    func callAsFunction<Method: SignInMethod>(
        by method: Method,
        _ context: SignInContext,
        read: () async throws -> Method.Input
    ) async throws(SignInError) -> SignedIn {
        try await SignInError.catching {
            try await admit(.login, context)
            let input = try await read()
            let account = method.account(of: input)
            if let refusal = try await throttle.attempt(on: account) { throw SignInError.rateLimited(refusal) }
            let proof = try await prove(by: method, input, context)
            let now = clock.now()
            var transaction = Transaction()
            transaction.add(users.lockForLogin(of: proof.user, at: now))
            guard let signedIn = try await open(proof, in: transaction, context, at: now) else {
                throw SignInError.invalidCredentials(user: proof.user)
            }
            try await throttle.succeeded(on: account)
            return signedIn
        }
    }

    func admit(_ endpoint: EndpointClass, _ context: SignInContext) async throws {
        if let refusal = try await throttle.admit(endpoint, from: context.clientInfo) {
            throw SignInError.rateLimited(refusal)
        }
    }

    private func prove<Method: SignInMethod>(
        by method: Method,
        _ input: Method.Input,
        _ context: SignInContext
    ) async throws -> SignInProof {
        do throws(SignInError) {
            return try await method.prove(input, context)
        } catch {
            switch error {
            case .invalidCredentials(let user), .userInactive(let user): try await recordRefusal(of: user, context)
            case .ended, .rateLimited, .overloaded, .fault: break
            }
            throw error
        }
    }

    private func recordRefusal(of user: String?, _ context: SignInContext) async throws {
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "refused")]).increment()
        let entry = audit.entry(
            action: "session.login",
            actor: nil,
            target: user,
            from: context.clientInfo,
            outcome: "refused",
            at: clock.now()
        )
        _ = try await database.run(entry)
    }

    /// For a transaction that has locked or made the user's row.
    ///
    /// - Returns: `nil` if the proof's condition no longer holds.
    func open(
        _ proof: SignInProof,
        in transaction: consuming Transaction,
        _ context: SignInContext,
        at now: Instant
    ) async throws -> SignedIn? {
        let session = sessions.newID(at: now)
        let cookie = context.wantsCookie ? SessionCookie(random: random) : nil
        let refresh = tokens.opening(session: session, at: now)
        transaction.add(contentsOf: proof.before)
        transaction.add(
            sessions.insertion(
                of: NewSession(
                    user: proof.user,
                    methods: proof.methods,
                    condition: proof.condition,
                    audience: proof.audience,
                    clientInfo: context.clientInfo,
                    cookie: cookie
                ),
                id: session,
                at: now
            )
        )
        transaction.add(refresh.statement)
        transaction.add(
            audit.entry(
                action: "session.login",
                actor: proof.user,
                ifSessionLives: session,
                from: context.clientInfo,
                at: now
            )
        )
        transaction.add(contentsOf: proof.after)
        let opened = transaction.add(sessions.stateWithUser(of: session))
        guard let row = try await database.run(transaction)[opened].first else { return nil }
        // On PostgreSQL each statement has its own snapshot: everything may have been revoked since the first.
        let state = try SessionState(row)
        if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) { throw SignInError.ended(refusal) }
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "success")]).increment()
        let response = try tokens.response(
            state,
            refreshToken: cookie == nil ? refresh.token : nil,
            showing: try User(row),
            at: now
        )
        return SignedIn(response: response, setCookie: cookie.map { cookies.setting($0, maxAge: cookieLifetime) })
    }
}
