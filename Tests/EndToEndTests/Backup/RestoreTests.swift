// After a restore the data is the backup's, all sessions have ended, and the history is a new one.
import Foundation
import Storage
import TestSupport
import Testing

@Suite("Restore")
struct RestoreTests {
    @Test(
        "refuses every older access and refresh token, lets users log in, and begins an epoch",
        arguments: Engine.allCases
    )
    func sessions(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        let auth = installation.auth
        var server = try await installation.startAuth()
        let early = try await auth.signUp("ada@example.com")
        let other = try await auth.logIn("ada@example.com")
        try await installation.run("backup", "--service", "auth", "--to", installation.backupPath())

        // Unknown to the backup: a rotation, a login, a user, a higher global version.
        let rotated = try await auth.post("/v1/token/refresh", ["refresh_token": early["refresh_token"]])
        #expect(rotated.status == 200)
        let late = try await auth.logIn("ada@example.com")
        let unknown = try await auth.signUp("grace@example.com")
        let admin = try await installation.outcome("users", "set-role", "grace@example.com", "admin")
        #expect(admin.isSuccess, "\(admin)")
        let grace = try await auth.logIn("grace@example.com")
        let all = try await auth.post(
            "/v1/admin/sessions/revoke",
            ["all": .bool(true)],
            token: grace["access_token"].string
        )
        #expect(all.status < 300, "\(all.text)")
        let last = try await auth.logIn("ada@example.com")
        #expect(try await auth.get("/v1/me", token: last["access_token"].string).status == 200)
        #expect(try await server.terminate() == .status(0))
        let before = try await installation.versions()

        let restore = try await installation.outcome("restore", "--from", installation.backupPath(), "--yes")
        #expect(restore.isSuccess, "\(restore)")
        let after = try await installation.versions()
        #expect(after.global > before.global)
        let epoch = try #require(after.epoch)
        #expect(epoch != before.epoch)
        #expect(restore.output.hasSuffix("the event epoch is now \(epoch)\n"), "\(restore.output)")
        let newest = try await installation.newestEntries()
        #expect(newest.event == #"all.tokens_revoked {"min_gver":\#(after.global)}"#)
        #expect(newest.action == "database.restore")

        server = try await installation.startAuth()
        for (name, grant) in [
            ("before the backup", early), ("a second one", other), ("rotated after it", rotated),
            ("logged in after it", late), ("of a user it does not know", unknown), ("the last one", last),
        ] {
            let me = try await auth.get("/v1/me", token: grant["access_token"].string)
            #expect(me.status == 401 && me["code"].string == "session_revoked", "\(name): \(me.text)")
            let refresh = try await auth.post("/v1/token/refresh", ["refresh_token": grant["refresh_token"]])
            // A row in the backup is known to have ended; the others are unknown.
            let code =
                ["before the backup", "a second one", "rotated after it"].contains(name)
                ? "session_revoked" : "invalid_token"
            #expect(refresh.status == 401 && refresh["code"].string == code, "\(name): \(refresh.text)")
        }
        let login = try await auth.logIn("ada@example.com")
        #expect(login.status == 200)
        #expect(try await auth.get("/v1/me", token: login["access_token"].string).status == 200)
        #expect(
            try await auth.post("/v1/token/refresh", ["refresh_token": login["refresh_token"]]).status == 200
        )
        #expect(try await auth.logIn("grace@example.com").status == 401)
        #expect(try await server.terminate() == .status(0))

        // A second restore of the same backup is another history, and ends what began after the first.
        try await installation.run("restore", "--from", installation.backupPath(), "--yes")
        let third = try await installation.versions()
        #expect(third.global > after.global && third.epoch != after.epoch)
    }

    @Test("brings chat's rows back as they were, row by row", arguments: Engine.allCases)
    func rows(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        var server = try await installation.startDev()
        let grant = try await installation.auth.signUp("ada@example.com")
        let token = grant["access_token"].string
        for number in 0..<5 {
            let made = try await installation.chat.post(
                "/v1/conversations",
                ["messages": [["role": "user", "content": .string("héllo 😀 \\ ' \" \t \(number)")]]],
                token: token
            )
            #expect(made.status == 201)
        }
        // Auth's event about the user changes a row too, a moment later.
        let followed = Statement(
            "test.followed",
            .reads,
            "SELECT 1 FROM auth_feed WHERE name = 'profiles' AND cursor <> ''"
        )
        try await eventually("chat has heard of the user") {
            try await installation.withDatabase("chat") { try await !$0.run(followed.bind()).isEmpty }
        }
        try await installation.run("backup", "--to", installation.backupPath())
        let before = try await installation.rows("chat", Installation.chatTables)
        let users = try await installation.rows("auth", ["users", "accounts", "signing_keys"])
        #expect(try #require(before["messages"]).count >= 5)
        let more = try await installation.chat.post(
            "/v1/conversations",
            ["messages": [["role": "user", "content": "later"]]],
            token: token
        )
        #expect(more.status == 201)
        let end = try await installation.chat.get("/v1/changes?after=end", token: token)
        let cursor = try #require(end["next_cursor"].string)
        #expect(try await server.terminate() == .status(0))
        #expect(try await installation.rows("chat", Installation.chatTables) != before)

        try await installation.run("restore", "--from", installation.backupPath(), "--yes")
        #expect(try await installation.rows("chat", Installation.chatTables) == before)
        #expect(try await installation.rows("auth", ["users", "accounts", "signing_keys"]) == users)
        // Numbers continue from the backup's, and the service works.
        server = try await installation.startDev()
        let login = try await installation.auth.logIn("ada@example.com")
        let list = try await installation.chat.get("/v1/conversations", token: login["access_token"].string)
        #expect(list["data"].array.count == 5, "\(list.text)")
        // The change feed is a new history too, and works.
        let again = login["access_token"].string
        let gone = try await installation.chat.get("/v1/changes?after=\(cursor)", token: again)
        #expect(gone.status == 410, "\(gone.text)")
        #expect(try await installation.chat.post("/v1/conversations", ["id": "new"], token: again).status == 201)
        let resync = try #require(gone["resync_cursor"].string)
        let received = try await installation.chat.get("/v1/changes?after=\(resync)", token: again)
        #expect(received["data"].array.map { $0["entity_id"].string } == ["new"], "\(received.text)")
        #expect(try await server.terminate() == .status(0))
    }

    @Test("in place ends every session of a database that came back by other means", arguments: Engine.allCases)
    func inPlace(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        let server = try await installation.startAuth()
        let grant = try await installation.auth.signUp("ada@example.com")
        let before = try await installation.versions()
        let done = try await installation.outcome("restore", "--in-place", "--yes")
        #expect(done.isSuccess, "\(done)")
        let after = try await installation.versions()
        #expect(after.global > before.global && after.epoch != nil && after.epoch != before.epoch)
        let me = try await installation.auth.get("/v1/me", token: grant["access_token"].string)
        #expect(me["code"].string == "session_revoked", "\(me.text)")
        #expect(try await installation.auth.logIn("ada@example.com").status == 200)
        #expect(try await server.terminate() == .status(0))

        for wrong in [["--in-place", "--from", "x"], [], ["--in-place", "--service", "chat"]] {
            let refused = try installation.start(["restore", "--yes"] + wrong, settings: [:], input: "")
            #expect(try await refused.waitForExit() != .status(0), "\(wrong)")
        }
        #expect(try await installation.versions().epoch == after.epoch)
    }
}
