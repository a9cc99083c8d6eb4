// What a service mounts, for 405 answers and for tests.
package import HTTPTypes
internal import Synchronization

/// An operation.
package struct Route: Sendable {
    package let method: HTTPRequest.Method
    /// For example `/v1/conversations/:id`.
    package let path: String
    package let query: QueryDeclaration

    var segments: [Substring] { path.split(separator: "/") }
}

/// Every operation of a service.
package final class RouteTable: Sendable {
    private let mounted = Mutex<[Route]>([])

    package init() {}

    func add(_ route: Route) { mounted.withLock { $0.append(route) } }

    package var routes: [Route] { mounted.withLock(\.self) }

    /// The methods that a path takes, whose segments are as `RequestTarget` writes them.
    func methods(for path: String) -> [String] {
        let segments = path.split(separator: "/")
        let matching = routes.filter { Self.matches($0.segments, segments) }
        // The router takes a literal segment before a parameter, and does not come back for the parameter's methods.
        let ranks = matching.map { $0.segments.map { Self.isParameter($0) ? "1" : "0" }.joined() }
        let nearest = zip(ranks, matching).filter { $0.0 == ranks.min() }
        return Set(nearest.map(\.1.method.rawValue)).sorted()
    }

    private static func matches(_ pattern: [Substring], _ segments: [Substring]) -> Bool {
        pattern.count == segments.count
            && zip(pattern, segments).allSatisfy { isParameter($0) || $0.utf8.elementsEqual($1.utf8) }
    }

    private static func isParameter(_ segment: Substring) -> Bool { segment.utf8.first == UInt8(ascii: ":") }

    static func join(_ base: String, _ path: String) -> String {
        "/" + [base, path].flatMap { $0.split(separator: "/") }.joined(separator: "/")
    }
}
