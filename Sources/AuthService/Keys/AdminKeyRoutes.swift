import Hummingbird
import OpenSSLCrypto
import ServiceKit

struct AdminKeyRoutes: Sendable {
    let keys: SigningKeys

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("keys") { _, _ in try await listing() }
        router.post("keys/rotate") { request, context in
            try await keys.rotate(
                actor: try context.requireCaller().userID,
                from: context.clientInfo(of: request)
            )
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
        case .unopened(let problem): APIError.keyUnknown("\(problem)")
        case .unreadable(let kid): APIError.keyUnknown("the signing key \(kid) cannot be read by this node")
        case .incomplete: APIError(.conflict)
        case .tooYoung:
            APIError(.conflict, detail: "the next key must be published for 15 minutes before it signs")
        case .noSuchKey: APIError(.notFound)
        case .isCurrent: APIError(.conflict, detail: "the current key is retired by rotating")
        case .fault(let error): error
        }
    }
}

extension RingError: ClosedError {
    package var answer: any Error {
        switch self {
        case .heldElsewhere(let id):
            APIError.keyUnknown("the master key \(Hex.encode([id])) is not in this node's ring")
        case .idTaken(let id):
            APIError(
                .conflict,
                detail: "another registered master key has the id \(Hex.encode([id])) by chance; generate another"
            )
        case .primaryWithdrawn(let id):
            APIError.keyUnknown("the first master key of this node, \(Hex.encode([id])), was withdrawn")
        case .noSuchEntry: APIError(.notFound, detail: "no registered master key that was not withdrawn has this id")
        case .isPrimary(let nodes):
            APIError(
                .conflict,
                detail: "it is the first master key of \(nodes.joined(separator: ", ")): new tokens are made with it"
            )
        case .inUse(let use): APIError(.conflict, detail: use.description)
        case .fault(let error): error
        }
    }
}

extension RingUse: CustomStringConvertible {
    package var description: String {
        let parts = [
            (signingKeys, "signing keys are sealed with it"), (refreshTokens, "refresh tokens are derived from it"),
            (unknownTokens, "refresh tokens of an earlier program may be derived from it"),
        ]
        return parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }
}

extension APIError {
    /// Another node can serve the request, or this one can later.
    fileprivate static func keyUnknown(_ detail: String) -> APIError {
        var error = APIError.retry(.keyUnknown, afterSeconds: 5)
        error.detail = detail
        return error
    }
}
