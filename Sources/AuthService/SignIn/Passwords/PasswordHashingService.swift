package import PasswordHashing
package import ServiceLifecycle

package protocol PasswordHashingService: Service {
    func hash(_ password: String) async throws(HashingError) -> String

    func verify(_ password: String, against phc: String) async throws(HashingError) -> PasswordVerdict

    /// Takes the time of `verify` against a hash of this cost, and finds nothing. `nil` is the cost of a new hash.
    func verifyAgainstNothing(_ password: String, at cost: PasswordCost?) async throws(HashingError)
}

extension PasswordHasher: PasswordHashingService {}
