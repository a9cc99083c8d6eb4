// Sign-in by password.
//
// SECURITY: an unknown address costs a hash too, as much as one of the stored hashes (`PasswordCosts`), and gets the
// same answer. Neither text nor time reveals whether it exists.
import PasswordHashing
import ServiceKit

/// An impossible address gets the answer of an unknown one.
struct PasswordInput: Sendable {
    let email: RequestText
    let password: RequestText
    /// The one audience of the session's tokens; `nil` for all.
    let audience: String?
}

extension Passwords: SignInMethod {
    func account(of input: PasswordInput) -> String { Email(input.email)?.key ?? LookupKey.of(input.email) }

    func user(of input: PasswordInput) async throws(SignInError) -> String? {
        try await credentials(of: Email(input.email))?.userID
    }

    func prove(_ input: PasswordInput, _ context: SignInContext) async throws(SignInError) -> SignInProof {
        // No password is as long. Its beginning costs what a wrong password does.
        let isTooLong = input.password.hasMore(scalarsThan: PasswordPolicy.maximum)
        let password = isTooLong ? input.password.prefix(bytes: PasswordPolicy.maximum) : input.password
        guard let credentials = try await credentials(of: Email(input.email)) else {
            let cost = costs.cost(of: account(of: input))
            do {
                try await hasher.verifyAgainstNothing(password.verbatim, at: cost)
            } catch {
                throw SignInError(error)
            }
            throw .invalidCredentials(user: nil)
        }
        let verdict: PasswordVerdict
        do {
            verdict = try await hasher.verify(password.verbatim, against: credentials.hash)
        } catch {
            throw SignInError(error)
        }
        guard !isTooLong, case .matches(let needsRehash) = verdict else {
            throw .invalidCredentials(user: credentials.userID)
        }
        // Reported only to a caller with the password.
        guard credentials.isActive else { throw .userInactive(user: credentials.userID) }
        var proof = SignInProof(
            user: credentials.userID,
            methods: [.password],
            condition: .passwordIs(hash: credentials.hash),
            audience: input.audience
        )
        if needsRehash {
            let new: String
            do { new = try await hasher.hash(input.password.verbatim) } catch { throw SignInError(error) }
            proof.after = [
                accounts.passwordReplacement(
                    user: credentials.userID,
                    verified: credentials.hash,
                    new: new,
                    at: clock.now()
                )
            ]
        }
        return proof
    }

    private func credentials(of email: Email?) async throws(SignInError) -> PasswordCredentials? {
        guard let email else { return nil }
        do { return try await accounts.credentials(email: email) } catch { throw .fault(error) }
    }
}

extension SignInError {
    init(_ error: HashingError) {
        switch error {
        case .overloaded(let seconds): self = .overloaded(retryAfterSeconds: seconds)
        case .cancelled: self = .fault(CancellationError())
        case .invalidHash, .failed, .shutDown: self = .fault(error)
        }
    }
}
