// The services' refusals, as a command line tells them.
import ServiceKit

enum Refusal {
    /// Runs `body` and turns an `APIError` into one line.
    static func told<T>(about subject: String? = nil, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch let error as APIError {
            let fields = error.fields.map { "\($0.field) \($0.message)" }
            let reason = ([error.detail ?? error.code.title] + fields).joined(separator: " ")
            throw StartFailure([subject, reason].compactMap(\.self).joined(separator: ": "))
        }
    }
}
