// What every operation refuses in the same way, asked of every operation of openapi.yaml: so the contract lists what
// happens, and `scripts/check-answers` sees that it lists nothing else.
import Foundation
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Refusals that operations share")
struct RefusalTests {
    @Test("each operation refuses what is wrong with any request, with a status that openapi.yaml lists for it")
    func refusals() async throws {
        let operations = try Contract().allOperations()
        try await withServices(requests: .off) { services async throws in
            var asked = 0
            for operation in operations {
                for request in operation.refused(services.token) {
                    let status = try await services.ask(operation.service, request)
                    #expect(request.expected.contains(status), "\(operation.method) \(request.path): \(status)")
                    #expect(operation.statuses.contains(status), "\(operation.method) \(operation.path): \(status)")
                    asked += 1
                }
            }
            #expect(asked > 250)
        }
    }

    @Test("each operation that needs a caller is limited for the person, and lists 429")
    func limits() async throws {
        let operations = try Contract().allOperations()
        let least = RequestRate(perSecond: 1, burst: 1)
        try await withServices(requests: RequestLimits(person: least)) { services async throws in
            // Gateways' questions count for the person that they are about; a session is asked for with a cookie alone.
            for operation in operations
            where operation.needsCaller && !operation.path.hasPrefix("/v1/validate")
                && operation.path != "/v1/session"
            {
                let request = operation.bare(services.token)
                var statuses: Set<Int> = []
                // A second may begin between two of them.
                for _ in 0..<10 where !statuses.contains(429) {
                    statuses.insert(try await services.ask(operation.service, request))
                }
                #expect(statuses.contains(429), "\(operation.method) \(operation.path): \(statuses)")
                #expect(operation.statuses.contains(429), "\(operation.method) \(operation.path)")
            }
        }
    }

    private func withServices(
        requests: RequestLimits,
        _ body: @escaping @Sendable (BothServices) async throws -> Void
    ) async throws {
        try await withDatabase(.sqlite, service: "auth") { authDatabase async throws in
            try await withDatabase(.sqlite, service: "chat") { chatDatabase async throws in
                try await body(try await BothServices(authDatabase, chatDatabase, requests: requests))
            }
        }
    }
}

/// An operation, with what it lists.
private struct ListedOperation {
    let service: String
    let method: String
    let path: String
    let statuses: Set<Int>
    let takesJSON: Bool
    /// By a token or a cookie; `nil` where there is no security, or it is optional.
    let needsCaller: Bool

    struct Refused {
        let method: String
        let path: String
        var body: String?
        var headers: HTTPFields = [:]
        var expected: Set<Int> = []
    }

    private var filled: String {
        path.replacing(/\{[^}]+\}/, with: "nothing")
    }

    /// With a parameter that no operation has, so that it does nothing where it is not limited.
    func bare(_ token: String) -> Refused {
        Refused(method: method, path: filled + "?nothing=1", headers: [.authorization: "Bearer \(token)"])
    }

    /// `token`: of an admin.
    func refused(_ token: String) -> [Refused] {
        let bearer: HTTPFields = [.authorization: "Bearer \(token)"]
        var requests: [Refused] = []
        func add(_ expected: Set<Int>, query: String = "", body: String? = nil, _ headers: HTTPFields) {
            requests.append(
                Refused(method: method, path: filled + query, body: body, headers: headers, expected: expected)
            )
        }
        if needsCaller {
            add([401], [:])
            add([401], [.authorization: "Bearer nonsense"])
        }
        guard path.hasPrefix("/v1/"), !path.hasPrefix("/v1/validate") else { return requests }
        // A service's token is needed there.
        if path == "/v1/events" {
            add([401, 403], bearer)
            return requests
        }
        add([400], query: "?nothing=1", bearer)
        add([400], query: "?nothing=%zz", bearer)
        if takesJSON {
            add([415], body: "x", bearer.with(.contentType, "text/plain"))
            add([415], body: "{}", bearer.with(.contentType, "application/json").with(.contentEncoding, "br"))
            let json = bearer.with(.contentType, "application/json")
            add([413], body: #"{"x":"\#(String(repeating: "x", count: 9 << 20))"}"#, json)
            add([400, 404], body: #"{"nothing":1}"#, json)
            add([400, 404], body: "{", json)
        }
        if service == "auth", method != "GET", needsCaller {
            let cookie: HTTPFields = [.cookie: "__Host-tessera=x; tessera=x", .origin: "https://evil.example"]
            add([401, 403], cookie.with(.fetchSite, "cross-site"))
        }
        return requests
    }
}

extension HTTPFields {
    fileprivate func with(_ name: HTTPField.Name, _ value: String) -> HTTPFields {
        var copy = self
        copy[name] = value
        return copy
    }
}

extension BothServices {
    fileprivate func ask(_ service: String, _ request: ListedOperation.Refused) async throws -> Int {
        let answer = try await Self.send(
            service,
            self,
            request.method,
            request.path,
            request.body,
            headers: request.headers
        )
        return answer.status
    }
}

extension Contract {
    fileprivate func allOperations() -> [ListedOperation] {
        var found: [ListedOperation] = []
        for (path, item) in paths.sorted(by: { $0.key < $1.key }) {
            guard let servers = item["servers"] as? [[String: Any]],
                let service = servers.first?["description"] as? String
            else { continue }
            for method in ["get", "put", "post", "patch", "delete"] {
                guard let operation = item[method] as? [String: Any] else { continue }
                let responses = operation["responses"] as? [String: Any] ?? [:]
                let body = (operation["requestBody"] as? [String: Any]).map { resolve($0) }
                let security = (operation["security"] ?? root["security"]) as? [[String: Any]] ?? []
                found.append(
                    ListedOperation(
                        service: service,
                        method: method.uppercased(),
                        path: path,
                        statuses: Set(responses.keys.compactMap { Int($0) }),
                        takesJSON: (body?["content"] as? [String: Any])?["application/json"] != nil,
                        needsCaller: !security.isEmpty && !security.contains { $0.isEmpty }
                            && !path.hasPrefix("/oauth2/")
                    )
                )
            }
        }
        return found
    }
}
