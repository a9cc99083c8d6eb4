import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TestSupport

struct Client: Sendable {
    /// For example `http://127.0.0.1:12345`.
    let base: String

    struct Answer: Sendable {
        let status: Int
        let headers: HTTPHeaders
        let text: String

        /// `null` if the body is not JSON.
        var json: JSONValue { (try? JSONValue(parsing: text)) ?? .null }
        subscript(member: String) -> JSONValue { json[member] }
    }

    func get(_ path: String, token: String? = nil) async throws -> Answer {
        try await send("GET", path, token: token)
    }

    func post(_ path: String, _ body: JSONValue? = nil, token: String? = nil) async throws -> Answer {
        try await send("POST", path, body, token: token)
    }

    func send(
        _ method: String,
        _ path: String,
        _ body: JSONValue? = nil,
        token: String? = nil,
        timeout: TimeAmount = .seconds(90)
    ) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = HTTPMethod(rawValue: method)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if let body {
            request.headers.add(name: "Content-Type", value: "application/json")
            request.body = .bytes(ByteBuffer(bytes: try JSONEncoder().encode(body)))
        }
        let response = try await HTTPClient.shared.execute(request, timeout: timeout)
        let bytes = try await response.body.collect(upTo: 4 << 20)
        return answer(to: method, path, response, bytes)
    }

    func form(_ path: String, _ body: String) async throws -> Answer {
        var request = HTTPClientRequest(url: base + path)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/x-www-form-urlencoded")
        request.body = .bytes(ByteBuffer(string: body))
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(90))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        return answer(to: "POST", path, response, bytes)
    }

    private func answer(
        to method: String,
        _ path: String,
        _ response: HTTPClientResponse,
        _ bytes: ByteBuffer
    ) -> Answer {
        let status = Int(response.status.code)
        let answer = Answer(status: status, headers: response.headers, text: String(buffer: bytes))
        AnswerLog.add(method, path, status: status, code: status >= 400 ? answer["code"].string : nil)
        return answer
    }

    func signUp(_ email: String) async throws -> Answer {
        try await post("/v1/signup", ["email": .string(email), "password": .string(Self.password)])
    }

    func logIn(_ email: String, password: String = Client.password) async throws -> Answer {
        try await post("/v1/login", ["email": .string(email), "password": .string(password)])
    }

    static let password = "correct horse battery staple"
}
