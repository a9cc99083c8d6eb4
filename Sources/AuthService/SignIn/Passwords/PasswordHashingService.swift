package import PasswordHashing
package import ServiceLifecycle

package protocol PasswordHashingService: Service {
    func hash(_ password: String) async throws(HashingError) -> String

    func verify(_ password: String, against phc: String) async throws(HashingError) -> PasswordVerdict

    /// Takes the time of `verify`, and finds nothing.
    func verifyAgainstNothing(_ password: String) async throws(HashingError)
}

extension PasswordHasher: PasswordHashingService {}
