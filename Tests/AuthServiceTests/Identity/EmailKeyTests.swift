// An address with a domain in Unicode and the same one in punycode are one user, also of the program before.
import HTTPTypes
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@testable import AuthService

@Suite("Keys of addresses")
struct EmailKeyTests {
    @Test("a key has the local part folded and the domain as UTS #46 has it")
    func keys() throws {
        for (spellings, key) in [
            (["Ada@Example.com", " ada@EXAMPLE.com "], "ada@example.com"),
            (
                ["ada@bücher.de", "ADA@BÜCHER.de", "ada@xn--bcher-kva.de", "Ada@bu\u{308}cher。de"],
                "ada@xn--bcher-kva.de"
            ),
            (["jörg@faß.de", "JO\u{308}RG@xn--fa-hia.de"], "jörg@xn--fa-hia.de"),
            (["a@☃.net", "a@xn--n3h.net"], "a@xn--n3h.net"),
        ] {
            for spelling in spellings { #expect(Email(spelling)?.key == key, "\(spelling)") }
        }
        let typed = try #require(Email("ada@BÜCHER.de"))
        #expect(typed.typedKey == "ada@bücher.de" && typed.lookupKeys == ["ada@bücher.de", "ada@xn--bcher-kva.de"])
        let ascii = try #require(Email("ada@xn--bcher-kva.de"))
        #expect(ascii.lookupKeys == ["ada@xn--bcher-kva.de", "ada@bücher.de"])
        #expect(Email("ada@example.com")?.lookupKeys == ["ada@example.com"])
        // Stored by an earlier program; no new user has one.
        #expect(Email("ada@xn--zzzz.de")?.isPossible == false && Email("ada@אb.com")?.isPossible == false)
        for none in ["ada@de", "ada@-a.de", "ada@a_b.de", "ada@b\u{FC}cher", "@a.de", "a@b@c.de", "a@", "a\u{0}@b.de"] {
            #expect(Email(none) == nil, "\(none)")
        }
    }

    @Test(
        "whoever signs up in one form signs in with the other, and neither can be taken again",
        arguments: TestEngine.allCases
    )
    func oneUser(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            let unicode = try await node.signUp("ada@bücher.de")
            let punycode = try await node.signUp("bob@xn--bcher-kva.de")
            #expect(try await node.logIn("ADA@XN--BCHER-KVA.de").userID == unicode.userID)
            #expect(try await node.logIn("bob@BÜCHER.de").userID == punycode.userID)
            // Mail goes to what was typed.
            #expect(try await node.me(unicode.access).json["email"]?.string == "ada@bücher.de")
            for taken in ["ada@xn--bcher-kva.de", "Ada@Bücher.de", "bob@bücher.de", "BOB@xn--bcher-kva.de"] {
                let body = #"{"email":"\#(taken)","password":"\#(AuthNode.password)"}"#
                #expect(try await node.send(.post, "/v1/signup", body).code == "email_taken", "\(taken)")
            }
            let impossible = #"{"email":"ada@xn--zzzz.de","password":"\#(AuthNode.password)"}"#
            #expect(try await node.send(.post, "/v1/signup", impossible).status == 400)
            let admin = try await node.makeAdmin()
            for query in ["ada@b%C3%BCcher.de", "ada@xn--bcher-kva.de"] {
                let found = try await node.send(.get, "/v1/admin/users?q=\(query)", token: admin.access)
                #expect(found.json["data"]?.array?.map { $0["id"]?.string } == [unicode.userID], "\(found.text)")
            }
        }
    }

    @Test("attempts on one account are counted together, whatever form is guessed with", arguments: TestEngine.allCases)
    func throttled(engine: TestEngine) async throws {
        try await withNode(engine, NodeOptions(rateLimits: true)) { node async throws in
            _ = try await node.signUp("ada@bücher.de")
            for attempt in 0..<10 {
                let email = attempt.isMultiple(of: 2) ? "ada@bücher.de" : "ada@xn--bcher-kva.de"
                #expect(try await node.logInAnswer(email, password: "wrong").status == 401)
            }
            _ = try await node.logInAnswer("ada@bücher.de", password: "wrong")
            #expect(try await node.logInAnswer("ada@xn--bcher-kva.de").status == 429)
        }
    }

    // MARK: What an earlier program left

    /// Gives a user the key that the program before this one made of its address.
    private static func makeFormer(_ user: String, _ address: String, _ node: AuthNode) async throws {
        let key = try #require(Email(address)).typedKey
        try await node.execute(
            "UPDATE users SET email = :address, email_key = :key, former_email_key = NULL WHERE id = :user",
            ["user": user, "address": address, "key": key]
        )
    }

    private static func key(_ user: String, _ node: AuthNode) async throws -> String {
        try #require(try await node.query("SELECT email_key FROM users WHERE id = :user", ["user": user]).first).text(
            "email_key"
        )
    }

    @Test(
        "a user of the program before is found by both forms, before the walk and after it",
        arguments: TestEngine.allCases
    )
    func walk(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            let ada = try await node.signUp("first@example.com")
            try await Self.makeFormer(ada.userID, "ada@bücher.de", node)
            func expectOneUser() async throws {
                for form in ["ada@bücher.de", "ada@xn--bcher-kva.de", "ada@BÜCHER.de"] {
                    #expect(try await node.logIn(form).userID == ada.userID, "\(form)")
                    let body = #"{"email":"\#(form)","password":"\#(AuthNode.password)"}"#
                    #expect(try await node.send(.post, "/v1/signup", body).code == "email_taken", "\(form)")
                }
            }
            try await expectOneUser()
            let keys = node.service.emailKeys
            // Nodes of the program before may still serve.
            #expect(try await keys.run() == EmailKeys.Report())
            node.clock.advance(EmailKeys.delay - .seconds(1))
            #expect(try await keys.run() == EmailKeys.Report())
            #expect(try await Self.key(ada.userID, node) == "ada@bücher.de")
            node.clock.advance(.seconds(1))
            #expect(try await keys.run() == EmailKeys.Report(changed: 1))
            #expect(try await Self.key(ada.userID, node) == "ada@xn--bcher-kva.de")
            try await expectOneUser()
            #expect(try await keys.run() == EmailKeys.Report())
            // Made by such a node since.
            let late = try await node.signUp("late@example.com")
            try await Self.makeFormer(late.userID, "late@bücher.de", node)
            #expect(try await keys.run() == EmailKeys.Report(changed: 1))
        }
    }

    @Test(
        "where two users meet, both keep theirs and are told apart as typed; with one gone the other moves",
        arguments: TestEngine.allCases
    )
    func conflict(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            let first = try await node.signUp("first@example.com")
            let second = try await node.signUp("second@example.com")
            try await Self.makeFormer(first.userID, "ada@bücher.de", node)
            try await Self.makeFormer(second.userID, "ada@xn--bcher-kva.de", node)
            let keys = node.service.emailKeys
            #expect(try await keys.run(isForced: true) == EmailKeys.Report(changed: 0, conflicts: 1))
            #expect(try await Self.key(first.userID, node) == "ada@bücher.de")
            #expect(try await Self.key(second.userID, node) == "ada@xn--bcher-kva.de")
            for _ in 0..<2 {
                let conflicts = try await keys.conflicts()
                #expect(conflicts.map(\.userID) == [first.userID] && conflicts.first?.holder?.id == second.userID)
                #expect(conflicts.first?.email == "ada@bücher.de")
                #expect(conflicts.first?.holder?.email == "ada@xn--bcher-kva.de")
                #expect(try await node.logIn("ada@BÜCHER.de").userID == first.userID)
                #expect(try await node.logIn("ada@xn--bcher-kva.de").userID == second.userID)
                #expect(try await keys.run(isForced: true) == EmailKeys.Report())
            }
            let admin = try await node.makeAdmin()
            let gone = try await node.send(.delete, "/v1/admin/users/\(second.userID)", token: admin.access)
            try #require(gone.status == 204, "\(gone.text)")
            #expect(try await keys.run(isForced: true) == EmailKeys.Report(changed: 1))
            #expect(try await keys.conflicts().isEmpty)
            #expect(try await node.logIn("ada@xn--bcher-kva.de").userID == first.userID)
        }
    }

    @Test("a walk that stops goes on where it was, and two nodes at it do no harm", arguments: TestEngine.allCases)
    func resumed(engine: TestEngine) async throws {
        try await withNode(engine) { node async throws in
            let count = 2 * Int(EmailKeys.batch) + 7
            for number in 0..<count {
                try await node.execute(
                    """
                    INSERT INTO users (id, email, email_key, created_at, updated_at) VALUES (:id, :email, :email, :now, :now)
                    """,
                    [
                        "id": "user-\(number)", "email": "u\(number)@bücher.de",
                        "now": node.clock.now + .microseconds(Int64(number / 2)),
                    ]
                )
            }
            let former = "users WHERE email_key LIKE '%bücher%'"
            let steps = Mutex(1)
            let first = try await node.service.emailKeys.run(isForced: true) {
                steps.withLock { left in
                    left -= 1
                    return left >= 0
                }
            }
            #expect(first.changed == Int(EmailKeys.batch))
            #expect(try await node.count(former) == count - Int(EmailKeys.batch))
            let reports = try await inParallel(4) { _ in try await node.service.emailKeys.run(isForced: true) }
            #expect(reports.reduce(0) { $0 + $1.changed } == count - Int(EmailKeys.batch))
            #expect(try await node.count(former) == 0)
            #expect(try await node.count("email_key_conflicts") == 0)
        }
    }
}
