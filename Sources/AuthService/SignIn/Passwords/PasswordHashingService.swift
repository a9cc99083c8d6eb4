// Where passwords are hashed and checked: on threads of their own, behind a bounded queue.
package import PasswordHashing
package import ServiceLifecycle

package protocol PasswordHashingService: Service {
    /// Hashes a password with a new salt.
    func hash(_ password: String) async throws(HashingError) -> String

    /// Compares a password with a stored hash.
    func verify(_ password: String, against phc: String) async throws(HashingError) -> PasswordVerdict

    /// Costs what `verify` costs, and finds nothing.
    func verifyAgainstNothing(_ password: String) async throws(HashingError)
}

extension PasswordHasher: PasswordHashingService {}
