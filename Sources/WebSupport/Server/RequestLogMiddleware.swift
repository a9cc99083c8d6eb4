// One line per request, and the numbers behind /metrics.
//
// SECURITY: method, route pattern, status and time; never a path with ids in it, a query, a header or a body.
package import Hummingbird
import Logging
import Metrics

/// Logs and counts requests by route pattern.
package struct RequestLogMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let service: String

    package init(service: String) {
        self.service = service
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response = try await next(request, context)
        let elapsed = start.duration(to: .now)
        let route = context.endpointPath ?? "unmatched"
        let status = String(response.status.code)
        Counter(
            label: "tessera_http_requests_total",
            dimensions: [
                ("service", service), ("method", Self.known(request.method.rawValue)), ("route", route),
                ("status", status),
            ]
        ).increment()
        Timer(label: "tessera_http_request_duration_seconds", dimensions: [("service", service), ("route", route)])
            .record(duration: elapsed)
        context.logger.info(
            "request",
            metadata: [
                "service": "\(service)", "request_id": "\(context.requestID)", "method": "\(request.method.rawValue)",
                "route": "\(route)", "status": "\(status)",
                "ms":
                    "\(Double(elapsed.components.attoseconds / 1_000_000_000_000) / 1000 + Double(elapsed.components.seconds) * 1000)",
            ]
        )
        return response
    }

    /// SECURITY: a method is free text; an unknown one may not grow the label set.
    private static func known(_ method: String) -> String {
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(method) ? method : "other"
    }
}

extension Timer {
    fileprivate func record(duration: Duration) {
        let (seconds, attoseconds) = duration.components
        recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
