// Cases of header fields: where a request comes from, what a page of another origin may do, what a client has already.
import Foundation
import TestSupport
import Testing

extension EdgeCases {
    @Test(arguments: Engine.allCases)
    func forwarded_address_with_a_port_counts(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let email = try await servers.user()
        for (name, sent, address) in [
            ("X-Forwarded-For", "203.0.113.9:51234", "203.0.113.9"),
            ("X-Forwarded-For", "[2001:db8::7]:443", "2001:db8::7"),
            ("X-Forwarded-For", "[2001:DB8::7]", "2001:db8::7"),
            ("X-Forwarded-For", "6.6.6.6:1, 203.0.113.9:2", "203.0.113.9"),
            ("X-Forwarded-For", "203.0.113.9:2, 127.0.0.9:80", "203.0.113.9"),
            ("Forwarded", "for=\"203.0.113.9:51234\";proto=https", "203.0.113.9"),
            ("Forwarded", "for=6.6.6.6, For=\"[2001:db8::7]:443\", for=127.0.0.9", "2001:db8::7"),
        ] {
            let answer = try await servers.auth.send(
                "POST",
                "/v1/login",
                json: EdgeServers.Running.credentials(email),
                headers: [(name, sent)]
            )
            #expect(answer["session"]["ip_address"].string == address, "\(sent): \(answer.text)")
        }
    }

    @Test(arguments: Engine.allCases)
    func preflight_allows_what_clients_send(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        for name in [
            "last-event-id", "idempotency-key", "if-match", "if-none-match", "authorization", "content-type",
            "content-encoding", "traceparent", "tracestate",
        ] {
            let answer = try await servers.chat.send(
                "OPTIONS",
                "/v1/changes",
                headers: [
                    ("Origin", "http://localhost:3000"), ("Access-Control-Request-Method", "GET"),
                    ("Access-Control-Request-Headers", name),
                ]
            )
            let allowed = answer.headers["access-control-allow-headers"]?.lowercased().split(separator: ", ") ?? []
            #expect(answer.status == 204 && allowed.contains { $0 == name }, "\(name): \(answer.headers)")
        }
        let answer = try await servers.chat.send(
            "GET",
            "/v1/conversations",
            token: token,
            headers: [("Origin", "http://localhost:3000")]
        )
        let exposed = answer.headers["access-control-expose-headers"]?.lowercased().split(separator: ", ") ?? []
        for name in ["etag", "retry-after", "x-request-id"] { #expect(exposed.contains { $0 == name }, "\(name)") }
    }

    @Test(arguments: Engine.allCases)
    func refused_origin_is_named_once(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        for _ in 0..<3 {
            let answer = try await servers.auth.send(
                "OPTIONS",
                "/v1/login",
                headers: [("Origin", "https://named-once.example"), ("Access-Control-Request-Method", "POST")]
            )
            #expect(answer.status == 403 && answer["code"].string == "origin_refused", "\(answer.text)")
        }
        let named = { servers.process.output.split(separator: "\n").filter { $0.contains("named-once.example") } }
        try await eventually("the origin is named") { !named().isEmpty }
        #expect(named().count == 1 && named()[0].contains("TESSERA_CORS_ORIGINS"))
    }

    @Test(arguments: Engine.allCases)
    func configured_origins_are_canonical(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        for client in [servers.auth, servers.chat] {
            for origin in ["http://localhost:3000", "https://app.example"] {
                let answer = try await client.send("GET", "/healthz", headers: [("Origin", origin)])
                #expect(answer.headers["access-control-allow-origin"] == origin, "\(origin)")
            }
            for origin in ["https://app.example:443", "https://APP.example", "https://app.example.evil", "null"] {
                let answer = try await client.send("GET", "/healthz", headers: [("Origin", origin)])
                #expect(answer.headers["access-control-allow-origin"] == nil, "\(origin)")
            }
        }
    }

    @Test(arguments: Engine.allCases)
    func what_a_client_has_is_not_sent_again(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = try await servers.conversation(token)
        let path = "/v1/conversations/\(id)"
        let message: JSONValue = ["role": "user", "content": "Hello"]
        let appended = try await servers.chat.send("POST", "\(path)/messages", json: message, token: token)
        let messageID = try #require(appended["id"].string)
        #expect(try await servers.chat.send("PUT", "\(path)/tags/a", token: token).status == 200)
        for (client, path) in [
            (servers.chat, path), (servers.chat, "\(path)?include=messages"), (servers.chat, "\(path)/tags"),
            (servers.chat, "\(path)/messages/\(messageID)"),
            (servers.chat, "\(path)/messages/\(messageID)?include=siblings"),
            (servers.auth, "/.well-known/jwks.json"), (servers.auth, "/.well-known/openid-configuration"),
        ] {
            let tag = try #require(try await client.send("GET", path, token: token).headers["etag"], "\(path)")
            for list in [tag, "W/\(tag)", "\"x\", \(tag)", "\"x,y\",W/\(tag), \"z\"", "*"] {
                for method in ["GET", "HEAD"] {
                    let headers = [("If-None-Match", list)]
                    let answer = try await client.send(method, path, token: token, headers: headers)
                    #expect(answer.status == 304 && answer.text.isEmpty, "\(method) \(path) \(list): \(answer.status)")
                    #expect(answer.headers["etag"] == tag && answer.headers["content-type"] == nil, "\(path)")
                }
            }
            for list in ["\"x\"", tag.replacing("\"", with: ""), "w/\(tag)"] {
                let answer = try await client.send("GET", path, token: token, headers: [("If-None-Match", list)])
                #expect(answer.status == 200, "\(path) \(list)")
            }
        }
        // An answer that has changed is sent, whatever the version of the row says.
        let before = try await servers.chat.send("GET", path, token: token).headers["etag"] ?? ""
        #expect(try await servers.chat.send("POST", "\(path)/messages", json: message, token: token).status == 201)
        let after = try await servers.chat.send("GET", path, token: token, headers: [("If-None-Match", before)])
        #expect(after.status == 200 && after["message_count"] == .number(2), "\(after.text)")
        // And a change that must not meet a version that is there does not.
        let patch: JSONValue = ["title": "u"]
        for list in ["*", after.headers["etag"] ?? ""] {
            let answer = try await servers.chat.send(
                "PATCH",
                path,
                json: patch,
                token: token,
                headers: [("If-None-Match", list)]
            )
            #expect(answer.status == 412, "\(answer.text)")
        }
    }

    @Test(arguments: Engine.allCases)
    func weak_validators_are_compared_as_the_standard_says(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let path = "/v1/conversations/\(try await servers.conversation(token))"
        func patch(_ title: String, if tag: String) async throws -> EdgeClient.Answer {
            let body: JSONValue = ["title": .string(title)]
            return try await servers.chat.send("PATCH", path, json: body, token: token, headers: [("If-Match", tag)])
        }
        let tag = try #require(try await servers.chat.send("GET", path, token: token).headers["etag"])
        #expect(try await patch("u", if: tag).status == 200)
        let now = try #require(try await servers.chat.send("GET", path, token: token).headers["etag"])
        for weak in ["W/\(now)", "\"x\", W/\(now)", "W/\"v2\""] {
            let answer = try await patch("v", if: weak)
            #expect(answer.status == 412 && answer.text.lowercased().contains("strong"), "\(weak): \(answer.text)")
        }
        let stale = try await patch("v", if: tag)
        #expect(stale.status == 412 && !stale.text.contains("strong"), "\(stale.text)")
        #expect(try await patch("v", if: "W/\(tag), \(now)").status == 200)
    }
}
