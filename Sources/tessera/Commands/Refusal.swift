// Converts the services' errors for a command line.
import ServiceKit

enum Refusal {
    static func describing<T>(about subject: String? = nil, _ body: () async throws -> T) async throws -> T {
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
