// Cases of paths and queries.
import Foundation
import TestSupport
import Testing

extension EdgeCases {
    @Test(arguments: Engine.allCases)
    func plus_is_a_space_in_a_query(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        for (name, written) in [
            ("gamma delta", "gamma+delta"), ("gamma delta", "gamma%20delta"), ("c+d", "c%2Bd"), ("50%", "50%25"),
            ("a&b=c", "a%26b%3Dc"), ("ünï", "%C3%BCn%C3%AF"),
        ] {
            let id = try await servers.conversation(token, ["title": .string(name)])
            let tags: JSONValue = ["tags": [.string(name)]]
            let path = "/v1/conversations/\(id)/tags"
            #expect(try await servers.chat.send("PUT", path, json: tags, token: token).status == 200)
            #expect(try await servers.titles("?tag=\(written)", token).allSatisfy { $0 == name }, "\(written)")
            #expect(try await !servers.titles("?tag=\(written)", token).isEmpty, "\(written)")
        }
    }

    @Test(arguments: Engine.allCases)
    func plus_in_an_instant_is_answered_clearly(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        for name in ["from", "to"] {
            let path = "/v1/search?q=x&\(name)=2026-01-01T00:00:00"
            #expect(try await servers.chat.send("GET", "\(path)%2B05:30", token: token).status == 200)
            let refused = try await servers.chat.send("GET", "\(path)+05:30", token: token)
            #expect(refused.status == 400 && refused.text.contains("%2B"), "\(refused.text)")
        }
        let before = try await servers.chat.send(
            "DELETE",
            "/v1/conversations?before=2026-01-01T00:00:00+05:30",
            token: token
        )
        #expect(before.status == 400 && before.text.contains("%2B"), "\(before.text)")
    }

    @Test(arguments: Engine.allCases)
    func empty_id_deletes_nothing(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = try await servers.conversation(token)
        for path in [
            "/v1/conversations/", "/v1/conversations/?permanent=true", "/v1/conversations//",
            "/v1//conversations?all=true",
            "//v1/conversations?all=true", "/v1/conversations/?all=true", "/v1/conversations//messages?after_seq=0",
            "/v1/conversations/\(id)/", "/v1/conversations/\(id)//tags", "/v1/conversations/\(id)/tags/", "/v1/tags/",
            "/v1/chat/data/",
        ] {
            let answer = try await servers.chat.send("DELETE", path, token: token)
            #expect(answer.status == 404, "\(path): \(answer.status)")
        }
        #expect(try await servers.titles("", token) == ["kept"])
        for path in ["/v1/me/", "/v1//me", "/v1/me/sessions/", "//v1/me"] {
            #expect(try await servers.auth.send("DELETE", path, token: token).status == 404, "\(path)")
        }
        #expect(try await servers.auth.send("GET", "/v1/me", token: token).status == 200)
    }

    @Test(arguments: Engine.allCases)
    func unknown_query_parameter_is_refused(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        _ = try await servers.conversation(token)
        for (query, name) in [
            ("permanent=true&tags=old", "tags"), ("permanent=true&all=true&tag_id=x", "tag_id"),
            ("all=true&al=true", "al"),
            ("all=true&permanent=true&permanent=false", "permanent"), ("all=true&%61ll=true", "all"),
            ("all=true&=", ""),
        ] {
            let answer = try await servers.chat.send("DELETE", "/v1/conversations?\(query)", token: token)
            #expect(answer.status == 400, "\(query): \(answer.status)")
            #expect(answer["errors"].array.contains { $0["field"].string == name }, "\(answer.text)")
        }
        // A filter that it knows, with a tag that is not there: for good, that is a mistake.
        let tagged = try await servers.chat.send("DELETE", "/v1/conversations?permanent=true&tag=old", token: token)
        #expect(tagged.status == 400 && tagged.text.contains("tag"), "\(tagged.text)")
        #expect(try await servers.titles("", token) == ["kept"])
        for path in ["/v1/me?x=1", "/v1/me/sessions/x?y", "/v1/logout?refresh_token=x", "/v1/me?cookie=true"] {
            let method = path.contains("logout") ? "POST" : "DELETE"
            let answer = try await servers.auth.send(method, path, token: token)
            #expect(answer.status == 400 || answer.status == 403, "\(path): \(answer.status)")
        }
        #expect(try await servers.auth.send("GET", "/v1/me", token: token).status == 200)
    }

    @Test(arguments: Engine.allCases)
    func misspelt_parameter_is_refused_on_reads(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        for path in [
            "/v1/conversations", "/v1/tags", "/v1/search", "/v1/usage", "/v1/changes", "/v1/chat/export",
            "/v1/chat/data/erasure",
        ] {
            for name in ["limt", "Limit", "limit[]", "cursor"] {
                let answer = try await servers.chat.send("GET", "\(path)?\(name)=5", token: token)
                #expect(answer.status == 400 && answer.text.contains(name), "\(path) \(name): \(answer.text)")
            }
        }
        for path in ["/v1/me", "/v1/me/sessions"] {
            let answer = try await servers.auth.send("GET", "\(path)?limt=5", token: token)
            #expect(answer.status == 400 && answer.text.contains("limt"), "\(path): \(answer.text)")
        }
        // Others link to these, or standards have their parameters.
        for path in [
            "/healthz", "/readyz", "/openapi.yaml", "/.well-known/jwks.json", "/v1/validate", "/v1/validate/app/",
        ] {
            let answer = try await servers.auth.send("GET", "\(path)?limt=5&limt=6&%zz", token: token)
            #expect(answer.status == 200, "\(path): \(answer.status)")
        }
        let form = [("Content-Type", "application/x-www-form-urlencoded")]
        let introspection = try await servers.auth.send("POST", "/oauth2/introspect?x=1", body: [], headers: form)
        #expect(introspection.status != 200 && introspection["error"].string != nil, "\(introspection.text)")
    }

    @Test(arguments: Engine.allCases)
    func dot_segments_reach_no_other_resource(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = try await servers.conversation(token)
        let path = "/v1/conversations/\(id)"
        for tail in [
            "..", ".", "%2E%2E", "%2e%2e/", "../", ".%2e", "%2E.", "%2e", "./", "../../conversations?all=true",
            "%2e%2e/%2e%2e?all=true", "x/..", "x/../..", "..%2f..", "..%2F", "x%2f..", "%2e%2e%2f", "..%5c..", "..\\",
        ] {
            let status = try await servers.chat.send("DELETE", "\(path)/tags/\(tail)", token: token).status
            #expect(status == 400 || status == 404, "\(tail): \(status)")
            #expect(try await servers.chat.send("GET", path, token: token).status == 200, "\(tail)")
        }
        for target in ["/v1/x/../me", "/v1/./me", "/../v1/me", "/v1/x/../validate/me", "/v1/me/sessions/.."] {
            #expect(try await servers.auth.send("GET", target, token: token).status == 400, "\(target)")
        }
        // What stands there is another server's, and none of it is returned.
        let asked = try await servers.auth.send("GET", "/v1/validate/../me", token: token)
        #expect(asked.status == 200 && asked.text.isEmpty, "\(asked.text)")
        for target in ["/v1/me%", "/v1/%zz", "/v1/me/sessions/%ff", "/v1/me/sessions/%00", "/v1\\me", "/v1/me#x"] {
            #expect(try await servers.auth.send("GET", target, token: token).status == 400, "\(target)")
        }
        for query in ["limit=%", "limit=%f", "after=%ff", "after=%00", "limit=5#x"] {
            #expect(
                try await servers.auth.send("GET", "/v1/me/sessions?\(query)", token: token).status == 400,
                "\(query)"
            )
        }
    }

    @Test(arguments: Engine.allCases)
    func tag_names_round_trip_through_paths(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let unreserved = CharacterSet(charactersIn: "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~")
        let refused = [".", "..", "../a", "a/.", "..\\a"]
        let names = [
            "a/b", "50%", "x y", "ünï", "c+d", "...", "..a/b..", "a?b#c", "%2F", "%2e%2e", "a\\b", "a&b=c", "🎄", ";",
            ":@!",
        ]
        for name in names + refused {
            let id = try await servers.conversation(token)
            let path = "/v1/conversations/\(id)"
            let tags: JSONValue = ["tags": [.string(name)]]
            let set = try await servers.chat.send("PUT", "\(path)/tags", json: tags, token: token)
            #expect(set.status == (refused.contains(name) ? 400 : 200), "\(name): \(set.text)")
            guard set.status == 200 else { continue }
            let encoded = try #require(name.addingPercentEncoding(withAllowedCharacters: unreserved))
            let off = try await servers.chat.send("DELETE", "\(path)/tags/\(encoded)", token: token)
            #expect(off.status == 200, "\(name): \(off.text)")
            let read = try await servers.chat.send("GET", path, token: token)
            #expect(read.status == 200 && read["tags"] == [], "\(name): \(read.text)")
            let on = try await servers.chat.send("PUT", "\(path)/tags/\(encoded)", token: token)
            #expect(on.status == 200 && on["tags"] == [.string(name)], "\(name): \(on.text)")
        }
    }

    @Test(arguments: Engine.allCases)
    func ids_in_paths_are_percent_decoded(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = "chat:\(UUID().uuidString)"
        _ = try await servers.conversation(token, ["id": .string(id), "title": "t"])
        let encoded = id.replacing(":", with: "%3A").replacing("-", with: "%2d")
        for path in ["/v1/conversations/\(encoded)", "/v1/%63onversations/\(id)", "/v1/conversations/\(encoded)/tags"] {
            #expect(try await servers.chat.send("GET", path, token: token).status == 200, "\(path)")
        }
        let twice = encoded.replacing("%", with: "%25")
        #expect(try await servers.chat.send("GET", "/v1/conversations/\(twice)", token: token).status == 404)
        // One key and one path, in whatever spelling, are one request.
        let headers = [("Idempotency-Key", "k-\(id)")]
        let body: JSONValue = ["role": "user", "content": "once"]
        for path in ["/v1/conversations/\(id)/messages", "/v1/conversations/\(encoded)/messages"] {
            let answer = try await servers.chat.send("POST", path, json: body, token: token, headers: headers)
            #expect(answer.status == 201, "\(answer.text)")
        }
        let messages = try await servers.chat.send("GET", "/v1/conversations/\(id)/messages", token: token)
        #expect(messages["data"].array.count == 1)
    }

    @Test(arguments: Engine.allCases)
    func mass_deletion_says_what_it_means(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        for (title, tag) in [("a", "old"), ("b", "old"), ("c", "new")] {
            let id = try await servers.conversation(token, ["title": .string(title)])
            let path = "/v1/conversations/\(id)/tags/\(tag)"
            #expect(try await servers.chat.send("PUT", path, token: token).status == 200)
        }
        func delete(_ query: String) async throws -> EdgeClient.Answer {
            try await servers.chat.send("DELETE", "/v1/conversations\(query)", token: token)
        }
        for query in ["", "?", "?permanent=true", "?all=false", "?all=true&tag=old", "?tag=", "?before=soon"] {
            let answer = try await delete(query)
            #expect(answer.status == 400, "\(query): \(answer.text)")
        }
        #expect(try await servers.titles("", token).count == 3)
        #expect(try await delete("?tag=OLD")["conversations"] == .number(2))
        #expect(try await servers.titles("", token) == ["c"])
        #expect(try await delete("?before=2020-01-01T00:00:00Z")["conversations"] == .number(0))
        #expect(try await delete("?archived=true")["conversations"] == .number(0))
        // The two in the trash still have their tag.
        #expect(try await delete("?tag=old&permanent=true")["conversations"] == .number(2))
        #expect(try await delete("?all=true")["conversations"] == .number(1))
        #expect(try await delete("?all=true&permanent=true")["conversations"] == .number(1))
        #expect(try await servers.titles("?trash=true", token).isEmpty)
    }
}
