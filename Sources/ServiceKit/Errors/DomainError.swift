// Errors of a service's logic, which knows nothing of HTTP: the same refusal has another answer at each door.

/// A refusal of a service's logic. Its conformance stands beside the routes that answer it.
package protocol DomainError: Error {
    /// The answer of an API, or the fault that stands behind the error.
    var answer: any Error { get }
}

extension DomainError {
    /// The answer, where a refusal carries another one.
    package var lastAnswer: any Error { (answer as? any DomainError)?.lastAnswer ?? answer }
}

/// A closed list of refusals, and one case for what refuses nothing: a storage fault, a task that was cancelled.
package protocol ClosedError: DomainError {
    static func fault(_ error: any Error) -> Self
}

extension ClosedError {
    /// Runs logic that throws this error. Whatever else its parts throw is a fault.
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
