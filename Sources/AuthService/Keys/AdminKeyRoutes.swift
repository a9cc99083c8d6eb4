import Hummingbird
import ServiceKit

struct AdminKeyRoutes: Sendable {
    let keys: SigningKeys

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("keys") { _, _ in try await listing() }
        router.post("keys/rotate") { _, _ in
            try await keys.rotate()
            return try await listing()
        }
    }

    private func listing() async throws -> Response {
        let keys = try await keys.list()
        return .json(
            JSONWriter.object { writer in
                writer.array("data") { writer in
                    for key in keys { key.write(to: &writer) }
                }
            }
        )
    }
}

extension SigningKeyInfo {
    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("kid", kid)
            writer.field("alg", algorithm)
            writer.field("state", state)
            writer.field("created_at", createdAt)
            writer.field("activated_at", activatedAt)
            writer.field("retired_at", retiredAt)
        }
    }
}

extension SigningKeyError: ClosedError {
    package var answer: any Error {
        switch self {
        case .unavailable: APIError.retry(.keysUnavailable, afterSeconds: 1)
        case .incomplete: APIError(.conflict)
        case .tooYoung:
            APIError(.conflict, detail: "the next key must be published for 15 minutes before it signs")
        case .noSuchKey: APIError(.notFound)
        case .isCurrent: APIError(.conflict, detail: "the current key is retired by rotating")
        case .fault(let error): error
        }
    }
}
