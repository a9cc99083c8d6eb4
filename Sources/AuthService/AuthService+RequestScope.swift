// For whom a request counts.
import ServiceKit

extension AuthService {
    var requestScope: RequestScopeMiddleware<AuthRequestContext> {
        RequestScopeMiddleware(
            memory: configuration.memory,
            counters: features.counters,
            isExempt: Self.servesServices,
            isOpen: Self.provesAccounts
        )
    }

    /// Gateways ask about many people, services ask for keys, and clients count where they prove themselves.
    private static func servesServices(_ path: String) -> Bool {
        ["/oauth2/", "/.well-known/", "/v1/validate/"].contains { path.utf8.starts(with: $0.utf8) }
            || path == "/v1/validate"
    }

    /// Here callers prove who they are, or that they were. What else they carry is not looked at before.
    private static func provesAccounts(_ path: String) -> Bool {
        ["/v1/signup", "/v1/login", "/v1/logout", "/v1/token/refresh"].contains(path)
    }
}
