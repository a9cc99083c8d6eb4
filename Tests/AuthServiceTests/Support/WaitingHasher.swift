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
        let verdict = try await base.verify(password, against: phc)
        if case .matches = verdict { await barrier.pass() }
        return verdict
    }

    func verifyAgainstNothing(_ password: String) async throws(HashingError) {
        try await base.verifyAgainstNothing(password)
        barrier.countNothing()
    }

    func run() async throws { try await base.run() }
}
