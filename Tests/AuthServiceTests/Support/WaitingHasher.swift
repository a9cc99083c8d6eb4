import AuthService
import PasswordHashing

struct WaitingHasher: PasswordHashingService {
    let base: PasswordHasher
    let barrier: Barrier

    init(_ configuration: AuthConfiguration, _ barrier: Barrier) {
        base = PasswordHasher(
            parameters: configuration.argon2,
            threads: configuration.hashThreads,
            queueLimit: configuration.hashQueue
        )
        self.barrier = barrier
    }

    func hash(_ password: String) async throws(HashingError) -> String { try await base.hash(password) }

    func verify(_ password: String, against phc: String) async throws(HashingError) -> PasswordVerdict {
        if barrier.refusesHashes { throw .overloaded(retryAfterSeconds: 1) }
        barrier.record(cost: (try? PasswordCost(of: phc).text) ?? phc)
        let verdict = try await base.verify(password, against: phc)
        if case .matches = verdict { await barrier.pass() }
        return verdict
    }

    func verifyAgainstNothing(_ password: String, at cost: PasswordCost?) async throws(HashingError) {
        if barrier.refusesHashes { throw .overloaded(retryAfterSeconds: 1) }
        barrier.record(cost: cost?.text ?? "new")
        try await base.verifyAgainstNothing(password, at: cost)
        barrier.countNothing()
    }

    func run() async throws { try await base.run() }
}
