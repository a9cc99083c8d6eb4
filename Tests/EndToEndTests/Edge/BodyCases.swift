// Cases of JSON and of what people look for.
import Foundation
import TestSupport
import Testing

extension EdgeCases {
    @Test(arguments: Engine.allCases)
    func valid_json_that_is_not_taken_has_its_own_words(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let nested = String(repeating: "[", count: 80) + String(repeating: "]", count: 80)
        for (body, code) in [
            (#"{"title":"a\u0000b"}"#, "json_nul"), (#"{"title":"a","title":"b"}"#, "json_duplicate_name"),
            (#"{"metadata":{"a":1,"\u0061":2}}"#, "json_duplicate_name"),
            (#"{"metadata":\#(nested)}"#, "json_too_deep"),
            (#"{"title":"\ud83d"}"#, "json_lone_surrogate"), (#"{"title":"a""#, "invalid_json"),
            ("{title:1}", "invalid_json"),
        ] {
            let answer = try await servers.chat.send("POST", "/v1/conversations", body: Array(body.utf8), token: token)
            #expect(answer.status == 400 && answer["code"].string == code, "\(body.prefix(40)): \(answer.text)")
        }
        let email = #"{"email":"a\u0000b@example.com","password":"x"}"#
        let login = try await servers.auth.send("POST", "/v1/login", body: Array(email.utf8))
        #expect(login["code"].string == "json_nul", "\(login.text)")
    }

    @Test(arguments: Engine.allCases)
    func a_flag_is_looked_for(engine: Engine) async throws {
        let servers = try await EdgeServers.on(engine)
        let token = try await servers.token()
        let id = try await servers.conversation(token)
        for content in ["git commit --no-verify --amend", "git commit -m message", "nothing of it"] {
            let body: JSONValue = ["role": "user", "content": .string(content)]
            let path = "/v1/conversations/\(id)/messages"
            #expect(try await servers.chat.send("POST", path, json: body, token: token).status == 201)
        }
        func hits(_ query: String) async throws -> Int {
            let answer = try await servers.chat.send("GET", "/v1/search?q=\(query)", token: token)
            try #require(answer.status == 200, "\(query): \(answer.text)")
            return answer["data"].array.count
        }
        #expect(try await hits("--no-verify") == 1)
        #expect(try await hits("--amend") == 1)
        #expect(try await hits("commit+--amend") == 1)
        #expect(try await hits("---amend") == 1)
        #expect(try await hits("%22--no-verify%22") == 1)
        #expect(try await hits("commit+-amend") == 1, "one dash excludes")
        #expect(try await hits("commit+-%22no+verify%22") == 1)
        #expect(try await hits("commit+--%22no+verify%22") == 1, "and two do not")
        let none = try await servers.chat.send("GET", "/v1/search?q=-amend", token: token)
        #expect(none.status == 422, "\(none.text)")
    }
}
