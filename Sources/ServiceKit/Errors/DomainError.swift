// Errors of the logic, which knows nothing of HTTP: each door answers the same refusal in its own way.

/// A refusal by the logic. Its conformance is beside the routes that answer it.
package protocol DomainError: Error {
    /// The API's answer, or the underlying fault.
    var answer: any Error { get }
}

extension DomainError {
    /// Follows answers that are domain errors themselves.
    package var lastAnswer: any Error { (answer as? any DomainError)?.lastAnswer ?? answer }
}

/// A closed list of refusals, plus one case for faults such as storage errors and cancellation.
package protocol ClosedError: DomainError {
    static func fault(_ error: any Error) -> Self
}

extension ClosedError {
    /// Any other error of `body` becomes a fault.
    package static func catching<T>(_ body: () async throws -> T) async throws(Self) -> T {
        do {
            return try await body()
        } catch let error as Self {
            throw error
        } catch {
            throw .fault(error)
        }
    }
}
