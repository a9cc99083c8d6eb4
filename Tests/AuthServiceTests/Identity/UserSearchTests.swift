import AuthService
import HTTPTypes
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Search for users")
struct UserSearchTests {
    @Test("each user once, by email or name, page by page, with or without an email", arguments: TestEngine.allCases)
    func once(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            for (name, address) in [
                ("Anna", "anna@example.com"), ("Annette", "other@example.com"), ("Zoe", "ann@example.com"),
                ("Bob", "bob@example.com"),
            ] {
                let signup = Signup(
                    email: try #require(Email(address)),
                    password: RequestText(AuthNode.password),
                    name: RequestText(name)
                )
                _ = try await node.service.passwords.create(signup, role: .user, actor: nil, from: .commandLine)
            }
            // A guest has a name and no email.
            try await node.execute(
                """
                INSERT INTO users (id, name, name_key, kind, role, created_at, updated_at)
                VALUES ('guest', 'Anni', 'anni', 'guest', 'premium', :at, :at)
                """,
                ["at": node.clock.now + .seconds(60)]
            )
            let newestFirst = ["Anni", "Zoe", "Annette", "Anna"]
            let filter = UserFilter(prefix: "ANN")
            var request = PageRequest(limit: 10, cursor: nil, direction: .forward)
            #expect(try await node.service.users.list(filter, request).items.map(\.name) == newestFirst)

            request = PageRequest(limit: 1, cursor: nil, direction: .forward)
            var names: [String?] = []
            repeat {
                let page = try await node.service.users.list(filter, request)
                names += page.items.map(\.name)
                request = PageRequest(limit: 1, cursor: page.next, direction: .forward)
            } while request.cursor != nil && names.count < 10
            #expect(names == newestFirst)

            let admin = try await node.makeAdmin()
            for (query, total) in [
                ("q=ann", 4), ("q=ann&role=premium", 1), ("role=premium", 1), ("role=admin", 1), ("q=anna@", 1),
                ("", 6),
            ] {
                let answer = try await node.send(.get, "/v1/admin/users?count=true&\(query)", token: admin.access)
                #expect(answer.json["data"]?.array?.count == total, "\(query): \(answer.text)")
                #expect(answer.json["total"]?.integer == Int64(total), "\(query): \(answer.text)")
            }
        }
    }
}
