// The sequence of every sign-in method. A method proves the user, and cannot forget another step.
//
// 1. The request counts for its network, before its body is read.
// 2. The attempt counts for the account, in its own transaction: a refused sign-in counts, and a hundred concurrent
//    guesses are a hundred. While the account's delay runs, a known device or a network without a failure lets it be
//    judged; see `Throttle+Judgements`.
// 3. The method proves the user. A refused proof is audited.
// 4. One transaction takes the user's row, uses the proof up, and opens the session only if the proof's condition still
//    holds. A change in between wins. The device is known from then on.
// 5. The account's attempts are reset. An attempt that ends with 503 was no guess, and is taken back.
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
    let devices: Devices
    let deviceCookies: DeviceCookiePolicy

    /// `read` reads the method's input from the admitted request; its errors are faults.
    func callAsFunction<Method: SignInMethod>(
        by method: Method,
        _ context: SignInContext,
        read: () async throws -> SignInRequest<Method.Input>
    ) async throws(SignInError) -> SignedIn {
        try await SignInError.catching {
            try await admit(.login, context)
            let request = try await read()
            let marker = devices.read(context.device ?? request.device)
            let attempt = try await attempt(by: method, request.input, marker, context)
            let signedIn: SignedIn
            do throws(SignInError) {
                signedIn = try await judge(by: method, request.input, marker, context)
            } catch {
                // A second fault must not hide the first.
                if error.isUndecided { try? await throttle.discount(attempt) }
                throw error
            }
            try await throttle.succeeded(attempt)
            return signedIn
        }
    }

    private func attempt<Method: SignInMethod>(
        by method: Method,
        _ input: Method.Input,
        _ marker: DeviceMarker?,
        _ context: SignInContext
    ) async throws -> Attempt {
        let account = method.account(of: input)
        switch try await throttle.attempt(.login, on: account) {
        case .counted(let attempt): return attempt
        case .delayed(let refusal):
            if let marker, let user = try await method.user(of: input), try await devices.knows(marker, of: user),
                let attempt = try await throttle.attempt(onDevice: marker.deviceKey)
            {
                return attempt
            }
            if let attempt = try await throttle.attempt(on: account, from: context.clientInfo) { return attempt }
            // SECURITY: the same, whatever a marker was worth.
            throw SignInError.rateLimited(refusal)
        }
    }

    private func judge<Method: SignInMethod>(
        by method: Method,
        _ input: Method.Input,
        _ marker: DeviceMarker?,
        _ context: SignInContext
    ) async throws(SignInError) -> SignedIn {
        try await SignInError.catching {
            let proof = try await prove(by: method, input, context)
            let now = clock.now()
            var transaction = Transaction()
            transaction.add(users.lockForLogin(of: proof.user, at: now))
            guard let signedIn = try await open(proof, on: marker, in: transaction, context, at: now) else {
                throw SignInError.invalidCredentials(user: proof.user)
            }
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
            case .invalidCredentials(let user): try await recordRefusal(of: user, isFailure: true, context)
            case .userInactive(let user): try await recordRefusal(of: user, isFailure: false, context)
            case .ended, .rateLimited, .overloaded, .fault: break
            }
            throw error
        }
    }

    /// `isFailure`: the proof was wrong.
    private func recordRefusal(of user: String?, isFailure: Bool, _ context: SignInContext) async throws {
        let now = clock.now()
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "refused")]).increment()
        let entry = audit.entry(
            action: "session.login",
            actor: nil,
            target: user,
            from: context.clientInfo,
            outcome: "refused",
            at: now
        )
        var transaction = Transaction()
        transaction.add(entry)
        if isFailure, let mark = throttle.failure(from: context.clientInfo, at: now) { transaction.add(mark) }
        _ = try await database.run(transaction)
    }

    /// For a transaction that has locked or made the user's row.
    ///
    /// - Returns: `nil` if the proof's condition no longer holds.
    func open(
        _ proof: SignInProof,
        on marker: DeviceMarker?,
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
        let device = devices.addSignIn(
            of: proof.user,
            session: session,
            presenting: marker,
            at: now,
            to: &transaction
        )
        let opened = transaction.add(sessions.stateWithUser(of: session))
        let results = try await database.run(transaction)
        guard let row = results[opened].first else { return nil }
        // On PostgreSQL each statement has its own snapshot: everything may have been revoked since the first.
        let state = try SessionState(row)
        if let refusal = state.refusal(at: now, idleEnd: state.session.expiresAt) { throw SignInError.ended(refusal) }
        Counter(label: "tessera_logins_total", dimensions: [("outcome", "success")]).increment()
        var response = try tokens.response(
            state,
            refreshToken: cookie == nil ? refresh.token : nil,
            showing: try User(row),
            at: now
        )
        let known = devices.marker(of: device, results, at: now)
        guard let cookie else {
            response.deviceToken = known
            return SignedIn(response: response, setCookies: [])
        }
        return SignedIn(
            response: response,
            setCookies: [cookies.setting(cookie, maxAge: cookieLifetime), deviceCookies.setting(known)]
        )
    }
}
