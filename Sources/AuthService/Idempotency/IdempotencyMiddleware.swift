import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import ServiceKit
import Synchronization

/// Around the routes of admins, behind `RoleMiddleware`.
struct IdempotencyMiddleware: RouterMiddleware {
    let keys: IdempotencyKeys
    /// The answer that shows a user; `nil` once the user is gone.
    let showUser: @Sendable (_ id: String, _ isCreated: Bool) async throws -> Response?

    func handle(
        _ request: Request,
        context: AuthRequestContext,
        next: @concurrent (Request, AuthRequestContext) async throws -> Response
    ) async throws -> Response {
        guard request.method != .get, request.method != .head,
            let key = try IdempotencyKey.read(request.headers)
        else { return try await next(request, context) }
        let path = context.target.path
        // A secret is shown once and stored nowhere, so that there is nothing to answer again.
        guard !Self.showsSecret(request.method, path) else {
            throw APIError.field("Idempotency-Key", "invalid", "must not be sent where the answer holds a secret")
        }
        let (request, body) = try await request.buffered(limit: bodyLimit)
        let claim = try await keys.claim(
            key,
            by: try context.requireCaller().userID,
            route: "\(request.method.rawValue) \(path)",
            body: body
        )
        switch claim {
        case .done(let status, let target, let body):
            return try await replay(status: status, target: target, body: body)
        case .taken(let attempt):
            var context = context
            context.attempt = attempt
            return try await run(attempt, showing: Self.user(request.method, path), context) {
                try await next(request, context)
            }
        }
    }

    private func run(
        _ attempt: IdempotentAttempt,
        showing user: ShownUser,
        _ context: AuthRequestContext,
        _ work: () async throws -> Response
    ) async throws -> Response {
        let response: Response
        do {
            response = try await work()
        } catch {
            await note(context) { () async throws in try await keys.release(attempt) }
            throw error
        }
        var target: String?
        var body: String?
        switch user {
        case .none: body = try await response.body.text(upTo: IdempotencyKeys.largestAnswer)
        case .made: break
        case .named(let id): target = id
        }
        let status = Int(response.status.code)
        // What was done is done, and is answered so. If this fails, a repeated request finds the key free later.
        await note(context) { () async throws in
            try await keys.finish(attempt, status: status, target: target, body: body)
        }
        return response
    }

    private func note(_ context: AuthRequestContext, _ step: () async throws -> Void) async {
        do {
            try await step()
        } catch {
            context.logger.warning("the key of a request was not updated", metadata: ["error": "\(error)"])
        }
    }

    private func replay(status: Int, target: String?, body: String?) async throws -> Response {
        var response: Response
        if let target {
            guard let shown = try await showUser(target, status == 201) else { throw APIError(.resultGone) }
            response = shown
        } else if let body, !body.isEmpty {
            var writer = JSONWriter()
            writer.raw(body)
            response = .json(writer, status: .init(code: status))
        } else {
            response = .noContent()
        }
        response.headers[.idempotencyReplayed] = "true"
        return response
    }
}

extension IdempotencyError: ClosedError {
    var answer: any Error {
        switch self {
        case .reused: APIError(.idempotencyKeyReused)
        case .running:
            APIError(
                .conflict,
                detail: "the first request with this key is still running",
                headers: [.retryAfter: "1"]
            )
        case .tooMany(let most):
            APIError(
                .rateLimited,
                detail: "at most \(most) keys of Idempotency-Key in a day",
                headers: [.retryAfter: "600"]
            )
        case .fault(let error): error
        }
    }
}

extension IdempotencyMiddleware {
    /// Whom an answer shows.
    enum ShownUser: Equatable {
        case none, made
        case named(String)
    }

    /// Whether the answer of an operation holds a secret.
    static func showsSecret(_ method: HTTPRequest.Method, _ path: String) -> Bool {
        guard method == .post else { return false }
        return path == "/v1/admin/clients" || path.split(separator: "/").last == "rotate-secret"
    }

    static func user(_ method: HTTPRequest.Method, _ path: String) -> ShownUser {
        let parts = path.split(separator: "/").dropFirst(2)
        guard parts.first == "users" else { return .none }
        let rest = parts.dropFirst()
        if method == .post, rest.isEmpty { return .made }
        let changes = method == .patch && rest.count == 1
        let turns = method == .post && rest.count == 2 && ["deactivate", "reactivate"].contains(rest.last)
        guard changes || turns, let id = rest.first else { return .none }
        return .named(String(id))
    }
}

extension ResponseBody {
    /// The whole text, `nil` where it is longer.
    fileprivate func text(upTo limit: Int) async throws -> String? {
        guard let length = contentLength, length <= limit else { return nil }
        let collected = CollectedBody()
        try await write(CollectingWriter(into: collected))
        return collected.text
    }
}

private final class CollectedBody: Sendable {
    private let buffer = Mutex(ByteBuffer())

    var text: String { buffer.withLock { String(buffer: $0) } }
    func append(_ part: ByteBuffer) { buffer.withLock { _ = $0.writeImmutableBuffer(part) } }
}

private struct CollectingWriter: ResponseBodyWriter {
    let body: CollectedBody

    init(into body: CollectedBody) { self.body = body }

    mutating func write(_ buffer: ByteBuffer) async throws { body.append(buffer) }
    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {}
}
