// Cases of messages as HTTP/1.1 frames them.
import Foundation
import TestSupport
import Testing

extension EdgeCases {
    /// The head of a request that a case writes itself, without the empty line at its end.
    private static func head(_ start: String, _ client: EdgeClient, _ token: String) -> String {
        """
        \(start) HTTP/1.1\r
        Host: 127.0.0.1:\(client.port)\r
        Authorization: Bearer \(token)\r
        Content-Type: application/json\r\n
        """
    }

    @Test(arguments: Engine.allCases)
    func expect_100_continue_is_answered(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let chat = servers.chat
        let connection = try RawConnection(port: chat.port)
        let head = Self.head("POST /v1/conversations", chat, token)
        try connection.send("\(head)Content-Length: 13\r\nExpect: 100-continue\r\n\r\n")
        let first = await connection.receive(within: .seconds(20)) { $0.hasSuffix("\r\n\r\n") }
        #expect(first.text == "HTTP/1.1 100 Continue\r\n\r\n")
        try connection.send(#"{"title":"t"}"#)
        let second = await connection.receive(within: .seconds(20)) { $0.contains("\"title\"") }
        #expect(second.text.hasPrefix("HTTP/1.1 201 "), "\(second.text)")

        // A refusal comes before the body, and ends the connection: the body may never come.
        for (start, fields, status) in [
            ("POST /v1/conversations?x=1", "Content-Length: 13", 400),
            ("POST /v1/conversations", "Content-Length: 999999999", 413),
            ("POST /v1/conversations", "Content-Length: 13\r\nContent-Encoding: br", 415),
            ("POST /v1/nowhere", "Content-Length: 13", 404), ("DELETE /v1/conversations", "Content-Length: 13", 400),
        ] {
            let head = Self.head(start, chat, token)
            let answer = try await chat.raw("\(head)\(fields)\r\nExpect: 100-continue\r\n\r\n")
            #expect(
                answer.text.hasPrefix("HTTP/1.1 \(status) ") && answer.isClosed,
                "\(start) \(fields): \(answer.text)"
            )
        }
        let unauthorized = Self.head("POST /v1/conversations", chat, "nonsense")
        let refused = try await chat.raw("\(unauthorized)Content-Length: 13\r\nExpect: 100-Continue\r\n\r\n")
        #expect(refused.text.hasPrefix("HTTP/1.1 401 ") && refused.isClosed, "\(refused.text)")
        let unknown = try await chat.raw("\(head)Content-Length: 13\r\nExpect: the-unexpected\r\n\r\n")
        #expect(unknown.text.hasPrefix("HTTP/1.1 417 "), "\(unknown.text)")
    }

    @Test(arguments: Engine.allCases)
    func http_1_0_gets_a_plain_answer(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        for (client, path) in [(servers.auth, "/openapi.yaml"), (servers.chat, "/healthz"), (servers.auth, "/nowhere")]
        {
            for fields in ["", "Connection: keep-alive\r\n"] {
                let answer = try await client.raw("GET \(path) HTTP/1.0\r\n\(fields)\r\n")
                let head = answer.text.prefix { $0 != "{" }.lowercased()
                #expect(answer.isClosed && !head.contains("chunked"), "\(path): \(answer.text.prefix(200))")
                #expect(answer.text.contains("\r\n\r\n"))
            }
        }
        // A stream has no length: it ends with its connection.
        let token = try await servers.token()
        _ = try await servers.conversation(token)
        let export = try await servers.chat.raw(
            "GET /v1/chat/export HTTP/1.0\r\nAuthorization: Bearer \(token)\r\n\r\n"
        )
        #expect(export.isClosed && !export.text.lowercased().contains("transfer-encoding"), "\(export.text)")
        #expect(export.text.contains("kept"))
    }

    @Test(arguments: Engine.allCases)
    func http_1_1_needs_a_host(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        for fields in [
            "", "Host: a.example\r\nHost: b.example\r\n", "Host: a.example\r\nhost: a.example\r\n", "Host: \r\n",
            "Host: a.example, b.example\r\n", "Host: a example\r\n",
        ] {
            for client in [servers.auth, servers.chat] {
                let answer = try await client.raw("GET /healthz HTTP/1.1\r\n\(fields)\r\n")
                #expect(answer.text.hasPrefix("HTTP/1.1 400 ") && answer.isClosed, "\(fields): \(answer.text)")
            }
        }
        let good = try await servers.auth.raw("GET /healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")
        #expect(good.text.hasPrefix("HTTP/1.1 200 ") && good.isClosed)
    }

    @Test(arguments: Engine.allCases)
    func malformed_chunking_is_the_clients_fault(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let head = Self.head("POST /v1/conversations", servers.chat, token)
        for body in ["ZZ\r\n{}\r\n0\r\n\r\n", "-1\r\n", "2\r\n{}X\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\n", "\r\n"] {
            let answer = try await servers.chat.raw("\(head)Transfer-Encoding: chunked\r\n\r\n\(body)")
            #expect(answer.text.hasPrefix("HTTP/1.1 400 ") && answer.isClosed, "\(body): \(answer.text)")
            #expect(answer.text.split(separator: "HTTP/1.1 ").count == 1, "\(answer.text)")
        }
        for (fields, statuses) in [
            ("Transfer-Encoding: gzip, chunked", [501]), ("Transfer-Encoding: x-unknown", [400, 501]),
            ("Transfer-Encoding: chunked, chunked", [400]), ("Transfer-Encoding: chunked\r\nContent-Length: 2", [400]),
            ("Content-Length: 2\r\nContent-Length: 3", [400]), ("Content-Length: two", [400]),
        ] {
            let answer = try await servers.chat.raw("\(head)\(fields)\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
            let status = answer.text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            #expect(statuses.contains(status) && answer.isClosed, "\(fields): \(answer.text)")
        }
        let good = try await servers.chat.raw(
            "\(head)Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
        )
        #expect(good.text.hasPrefix("HTTP/1.1 201 "), "\(good.text)")
    }

    @Test(arguments: Engine.allCases)
    func encoded_bodies_are_named(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        // `{"title":"t"}`, packed by gzip.
        let packed = [UInt8](Data(base64Encoded: "H4sIAAAAAAACA6tWKsksyUlVslIqUaoFAORi/0cNAAAA") ?? Data())
        let plain = Array(#"{"title":"t"}"#.utf8)
        for (body, coding, status) in [
            (packed, "gzip", 201), (packed, "GZIP", 201), (packed, "x-gzip", 201), (plain, "identity", 201),
            (plain, "gzip", 400), (Array(packed.dropLast()), "gzip", 400), (plain, "x-unknown", 415),
            (plain, "br", 415),
            (packed, "deflate", 415), (packed, "gzip, gzip", 415),
        ] {
            let answer = try await servers.chat.send(
                "POST",
                "/v1/conversations",
                body: body,
                token: token,
                headers: [("Content-Encoding", coding)]
            )
            #expect(answer.status == status, "\(coding): \(answer.text)")
            #expect(answer["code"].string != "invalid_json")
            #expect(status != 201 || answer["title"] == "t")
        }
    }

    @Test(arguments: Engine.allCases)
    func head_of_a_stream_claims_no_length(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = try await servers.conversation(token)
        for (path, accept) in [("/v1/chat/export", "*/*"), ("/v1/changes", "text/event-stream")] {
            let answer = try await servers.chat.send("HEAD", path, token: token, headers: [("Accept", accept)])
            #expect(answer.status == 200 && answer.headers["content-length"] == nil, "\(path): \(answer.headers)")
            #expect(answer.text.isEmpty, "\(path)")
        }
        // Everything else says the length that GET has, and a refusal of HEAD has no body either.
        for path in [
            "/v1/conversations", "/v1/conversations/\(id)", "/v1/tags", "/openapi.yaml", "/healthz", "/v1/nowhere",
        ] {
            let head = try await servers.chat.send("HEAD", path, token: token)
            let get = try await servers.chat.send("GET", path, token: token)
            #expect(head.status == get.status && head.text.isEmpty, "\(path)")
            #expect(head.headers["content-length"] == get.headers["content-length"], "\(path): \(head.headers)")
            #expect(head.headers["etag"] == get.headers["etag"], "\(path)")
        }
        // On one connection: what would be left of a body would be taken for the next answer.
        let head = "\r\nHost: a\r\nAuthorization: Bearer \(token)\r\n"
        let both = try await servers.chat.raw(
            "HEAD /v1/nowhere HTTP/1.1\(head)\r\nHEAD /v1/chat/export HTTP/1.1\(head)\r\n"
                + "GET /healthz HTTP/1.1\(head)Connection: close\r\n\r\n"
        )
        let statuses = both.text.split(separator: "HTTP/1.1 ").map { $0.prefix(3) }
        #expect(statuses == ["404", "200", "200"], "\(both.text)")
    }
}
