// Whom a request counts for.
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@testable import ServiceKit

@Suite("Requests count for who was proved to send them")
struct RequestLimitMiddlewareTests {
    @Test("a person counts, a client and a stranger do not, and a refusal ends the request")
    func counted() async throws {
        let counters = RequestCounters(RequestLimits(person: RequestRate(perSecond: 1, burst: 2)))
        let router = Router(context: NoContext.self)
        router.add(
            middleware: RequestLimitMiddleware(counters: counters) { request, _ in
                switch request.uri.path {
                case "/client": .client
                case "/stranger": nil
                case "/nobody": throw APIError(.tokenMissing)
                case let path: .person(path)
                }
            }
        )
        router.get("**") { _, _ in HTTPResponse.Status.ok }
        let expected: [(path: String, statuses: [Int])] = [
            ("/ada", [200, 200, 429]), ("/alan", [200, 200, 429]), ("/client", [200, 200, 200]),
            ("/stranger", [200, 200, 200]), ("/nobody", [401, 401, 401]),
        ]
        try await Application(router: router).test(.router) { client in
            for (path, statuses) in expected {
                for status in statuses {
                    let answer = try await client.execute(uri: path, method: .get) { $0.status.code }
                    #expect(answer == status, "\(path)")
                }
            }
        }
    }
}
