// One line per request, and the metrics of requests.
//
// SECURITY: method, route pattern, status and time; never a path with ids, a query, a header or a body.
import HTTPTypes
package import Hummingbird
import Logging
import Metrics
import Synchronization

package struct RequestLogMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let service: String
    private let quietAgent: RequestText?
    private let meters: RequestMeters

    /// - Parameters:
    ///   - service: the value of the field `service` and of the label.
    ///   - quietAgent: the `User-Agent` whose requests are logged at `debug` instead of `info`.
    package init(service: String, quietAgent: String? = nil) {
        self.service = service
        self.quietAgent = quietAgent.map { RequestText($0) }
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
        meters.of(route, Self.known(request.method.rawValue), response.status.code).record(elapsed)
        let isQuiet = quietAgent.map { $0 == request.headers.text(.userAgent) } ?? false
        context.logger.log(
            level: isQuiet ? .debug : .info,
            "request",
            metadata: [
                "service": .string(service), "method": .string(request.method.rawValue), "route": .string(route),
                "status": .string(String(response.status.code)), "ms": .string(Self.milliseconds(elapsed)),
            ]
        )
        return response
    }

    private static func milliseconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        return String(Double(seconds * 1_000_000 + attoseconds / 1_000_000_000_000) / 1000)
    }

    /// SECURITY: a method is free text, and must not create labels.
    private static func known(_ method: String) -> String {
        ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(method) ? method : "other"
    }
}

/// Cached by label values: building the labels for each request costs more than the rest of the middleware.
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
