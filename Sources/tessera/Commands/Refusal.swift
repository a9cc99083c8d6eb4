// The services' refusals, as a command line tells them.
import ServiceKit

enum Refusal {
    /// Runs `body` and turns a refusal into one line.
    static func told<T>(about subject: String? = nil, _ body: () async throws -> T) async throws -> T {
        do {
            return try await body()
        } catch {
            let answer = (error as? any DomainError)?.lastAnswer ?? error
            guard let refusal = answer as? APIError else { throw answer }
            let fields = refusal.fields.map { "\($0.field) \($0.message)" }
            let reason = ([refusal.detail ?? refusal.code.title] + fields).joined(separator: " ")
            throw StartFailure([subject, reason].compactMap(\.self).joined(separator: ": "))
        }
    }
}
