import Hummingbird
import Logging
import NIOCore
import Storage

/// `/healthz`, `/readyz` and `/openapi.yaml`, without authentication.
package struct HealthRoutes: Sendable {
    private let service: String
    private let contract: ByteBuffer
    private let warnings: [String]
    private let isReady: @Sendable () async throws -> Void

    /// `contract`: the text of `openapi.yaml`. `isReady`: throws when the database is unreachable or its schema is not
    /// current; an `APIError`, or a refusal that is answered with one, if something else is missing. `warnings`: what a
    /// ready node does not do, by its settings.
    package init(
        service: String,
        contract: String,
        warnings: [String] = [],
        isReady: @escaping @Sendable () async throws -> Void
    ) {
        self.service = service
        self.warnings = warnings
        // Once: all answers share its bytes.
        self.contract = ByteBuffer(string: contract)
        self.isReady = isReady
    }

    package func mount<Context: WebRequestContext>(on router: RouteGroup<Context>) {
        router.get("healthz", query: .ignored) { _, _ in
            Response.json(JSONWriter.object { $0.field("status", "ok") })
        }
        router.get("readyz", query: .ignored) { _, context in
            do {
                try await isReady()
            } catch {
                context.logger.warning("not ready", metadata: ["service": "\(service)", "error": "\(error)"])
                // An `APIError` says itself what is missing.
                let answer = (error as? any DomainError)?.lastAnswer ?? error
                let refusal = (answer as? APIError) ?? .retry(.databaseUnavailable, afterSeconds: 1)
                return refusal.response(requestID: context.requestID)
            }
            return Response.json(
                JSONWriter.object { writer in
                    writer.field("status", "ready")
                    if !warnings.isEmpty { writer.field("warnings", warnings) }
                }
            )
        }
        router.get("openapi.yaml", query: .ignored) { _, _ in
            Response(
                status: .ok,
                headers: [.contentType: "application/yaml", .cacheControl: "public, max-age=300"],
                body: .init(byteBuffer: contract)
            )
        }
    }
}
