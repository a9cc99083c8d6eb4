// Where a feature mounts its operations. Each says what it takes in its query; what says nothing takes nothing.
package import HTTPTypes
package import Hummingbird

/// Routes below one path, behind the same middleware.
package struct RouteGroup<Context: WebRequestContext> {
    package typealias Handler = @Sendable (Request, Context) async throws -> Response

    private let group: RouterGroup<Context>
    private let path: String
    private let table: RouteTable

    init(_ group: RouterGroup<Context>, path: String, table: RouteTable) {
        self.group = group
        self.path = path
        self.table = table
    }

    /// Routes below a path of this group, behind its middleware and more.
    package func group(_ path: String = "") -> RouteGroup {
        RouteGroup(group.group(RouterPath(path)), path: RouteTable.join(self.path, path), table: table)
    }

    /// Puts a middleware before the routes that are mounted from now on.
    @discardableResult
    package func add(middleware: any MiddlewareProtocol<Request, Response, Context>) -> RouteGroup {
        group.add(middleware: middleware)
        return self
    }

    @discardableResult
    package func on(
        _ path: String,
        method: HTTPRequest.Method,
        query: QueryDeclaration = .none,
        use handler: @escaping Handler
    ) -> RouteGroup {
        let operation: Handler = { request, context in
            var context = context
            context.query = try QueryParameters(context.target, query)
            return try await handler(request, context)
        }
        group.on(RouterPath(path), method: method) { try await operation($0, $1) }
        table.add(Route(method: method, path: RouteTable.join(self.path, path), query: query))
        return self
    }

    /// Takes HEAD as well, which is answered as GET, without the body (RFC 9110 §9.3.2).
    @discardableResult
    package func get(_ path: String, query: QueryDeclaration = .none, use handler: @escaping Handler) -> RouteGroup {
        on(path, method: .get, query: query, use: handler)
            .on(path, method: .head, query: query) { try await handler($0, $1).withoutBody }
    }

    @discardableResult
    package func post(_ path: String, query: QueryDeclaration = .none, use handler: @escaping Handler) -> RouteGroup {
        on(path, method: .post, query: query, use: handler)
    }

    @discardableResult
    package func put(_ path: String, query: QueryDeclaration = .none, use handler: @escaping Handler) -> RouteGroup {
        on(path, method: .put, query: query, use: handler)
    }

    @discardableResult
    package func patch(_ path: String, query: QueryDeclaration = .none, use handler: @escaping Handler) -> RouteGroup {
        on(path, method: .patch, query: query, use: handler)
    }

    @discardableResult
    package func delete(_ path: String, query: QueryDeclaration = .none, use handler: @escaping Handler) -> RouteGroup {
        on(path, method: .delete, query: query, use: handler)
    }
}

extension Response {
    /// The same head without its body. The length of a stream is not known beforehand.
    var withoutBody: Response {
        guard headers[.contentLength] == nil else { return Response(status: status, headers: headers) }
        return Response(
            status: status,
            headers: headers,
            body: ResponseBody(contentLength: nil) { try await $0.finish(nil) }
        )
    }
}
