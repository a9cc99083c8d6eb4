// One line per request, and the numbers behind /metrics.
//
// SECURITY: method, route pattern, status and time; never a path with ids in it, a query, a header or a body.
package import Hummingbird
import Logging
import Metrics
import Synchronization

/// Logs and counts requests by route pattern.
package struct RequestLogMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let service: String
    private let meters: RequestMeters

    package init(service: String) {
        self.service = service
        self.meters = RequestMeters(service: service)
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
        meters.of(route, Self.known(request.method.rawValue), response.status.code).record(elapsed)
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

/// The metrics of requests, looked up by what tells them apart: building the labels anew for each request costs more
/// than the rest of the middleware.
private final class RequestMeters: Sendable {
    struct Key: Hashable {
        let route: String
        let method: String
        let status: Int
    }

    struct Meter {
        let requests: Counter
        let duration: Timer

        func record(_ elapsed: Duration) {
            requests.increment()
            let (seconds, attoseconds) = elapsed.components
            duration.recordNanoseconds(seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        }
    }

    private let service: String
    private let meters = Mutex<[Key: Meter]>([:])

    init(service: String) {
        self.service = service
    }

    func of(_ route: String, _ method: String, _ status: Int) -> Meter {
        let key = Key(route: route, method: method, status: status)
        if let known = meters.withLock({ $0[key] }) { return known }
        let meter = Meter(
            requests: Counter(
                label: "tessera_http_requests_total",
                dimensions: [
                    ("service", service), ("method", method), ("route", route), ("status", String(status)),
                ]
            ),
            duration: Timer(
                label: "tessera_http_request_duration_seconds",
                dimensions: [("service", service), ("route", route)]
            )
        )
        meters.withLock { $0[key] = meter }
        return meter
    }
}
