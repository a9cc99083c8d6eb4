// The router of a service: Hummingbird's, behind the reading of the target.
import HTTPTypes
package import Hummingbird

/// Collects the routes and the middleware of a service.
package struct ServiceRouter<Context: WebRequestContext>: HTTPResponderBuilder {
    private let router = Router(context: Context.self)
    private let opaque: [String]
    /// What is mounted, for 405 answers.
    package let table = RouteTable()

    /// `opaque`: paths below which another server's paths stand, each with a slash at its end.
    package init(opaque: [String] = []) {
        self.opaque = opaque
    }

    package var routes: [Route] { table.routes }

    /// Puts a middleware before every route that is mounted from now on.
    package func add(middleware: any MiddlewareProtocol<Request, Response, Context>) {
        router.add(middleware: middleware)
    }

    package func group(_ path: String = "") -> RouteGroup<Context> {
        RouteGroup(router.group(RouterPath(path)), path: path, table: table)
    }

    package func buildResponder() -> ServiceResponder<Context> {
        ServiceResponder(router: router.buildResponder(), opaque: opaque)
    }
}

/// Reads the target of a request, and routes by what it says.
package struct ServiceResponder<Context: WebRequestContext>: HTTPResponder {
    let router: RouterResponder<Context>
    let opaque: [String]

    package func respond(to request: Request, context: Context) async throws -> Response {
        var context = context
        context.target = RequestTarget(request.head.path ?? "", opaque: opaque)
        guard request.uri.path != context.target.path else {
            return try await router.respond(to: request, context: context)
        }
        var head = request.head
        head.path = context.target.path
        return try await router.respond(to: Request(head: head, body: request.body), context: context)
    }
}
