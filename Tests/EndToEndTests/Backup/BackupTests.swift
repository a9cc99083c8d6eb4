// A backup is taken while writers run, and restored into an empty installation.
import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Backup")
struct BackupTests {
    @Test(
        "under load holds every write acknowledged before it began, in whole units, and opens in an empty place",
        arguments: Engine.allCases
    )
    func underLoad(engine: Engine) async throws {
        let first = try await Installation(engine, Installation.quickHashing)
        let server = try await first.startDev()
        let owner = try await first.auth.signUp("owner@example.com")
        let token = try #require(owner["access_token"].string)
        let acknowledged = Acknowledged()

        var before = Acknowledged.Lists()
        var after = Acknowledged.Lists()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<6 {
                group.addTask {
                    for number in 0... {
                        if acknowledged.isOver { return }
                        try await Self.write(writer, number, to: first, token, acknowledged)
                    }
                }
            }
            try await eventually("writes of both kinds") {
                let lists = acknowledged.lists
                return lists.conversations.count >= 60 && lists.emails.count >= 10
            }
            before = acknowledged.lists
            let backup = try await first.outcome("backup", "--to", first.backupPath())
            after = acknowledged.lists
            acknowledged.end()
            #expect(backup.isSuccess, "\(backup)")
            try await group.waitForAll()
        }
        #expect(after.conversations.count > before.conversations.count, "the writers stood still during the backup")
        #expect(try await server.terminate() == .status(0))

        // The same keys and address as the first, so that its tokens are judged, not merely foreign.
        let names = ["TESSERA_MASTER_KEY", "TESSERA_PUBLIC_URL"]
        let same = first.environment.filter { names.contains($0.key) }
        let second = try await Installation(
            engine,
            same.merging(Installation.quickHashing) { $1 }.merging([
                "TESSERA_ISSUER": "http://127.0.0.1:\(first.authPort)"
            ]) { $1 }
        )
        let restore = try await second.outcome("restore", "--from", first.backupPath(), "--yes")
        #expect(restore.isSuccess, "\(restore)")
        let restarted = try second.start(
            "dev",
            settings: ["TESSERA_AUTH_URL": "http://127.0.0.1:\(second.authPort)"]
        )
        try await restarted.waitUntilReady(port: second.authPort)
        try await restarted.waitUntilReady(port: second.chatPort)

        #expect(try await second.auth.get("/v1/me", token: token)["code"].string == "session_revoked")
        let again = try await second.auth.logIn("owner@example.com")
        #expect(again.status == 200, "\(again.text)")
        for email in before.emails { #expect(try await second.auth.logIn(email).status == 200, "\(email)") }
        let found = try await Self.conversations(of: second, token: again["access_token"].string)
        let missing = Set(before.conversations).subtracting(found.keys)
        #expect(missing.isEmpty, "\(missing.count) of \(before.conversations.count) acknowledged are missing")
        let torn = found.filter { $0.value != 2 }
        #expect(torn.isEmpty, "conversations without all their messages: \(torn)")
        print(
            "backup under load on \(engine): \(before.conversations.count) conversations and \(before.emails.count) users"
                + " acknowledged before it, \(after.conversations.count - before.conversations.count) conversations"
                + " during it; \(found.count) conversations restored, 0 missing, 0 torn"
        )
        #expect(try await restarted.terminate() == .status(0))
    }

    @Test("says its result on standard output, its progress on standard error, and is for its owner alone")
    func output() async throws {
        for engine in Engine.allCases {
            let installation = try await Installation(engine)
            try await installation.run("migrate", "up")
            let path = installation.backupPath()
            let backup = try await installation.outcome("backup", "--to", path)
            #expect(backup.isSuccess, "\(backup)")
            #expect(backup.output.split(separator: "\n").count == 2, "\(backup.output)")
            #expect(backup.output.contains("auth") && backup.output.contains("chat"))
            for service in ["auth", "chat"] { #expect(backup.errors.contains("\(service)  "), "\(backup.errors)") }
            // Not a terminal: no cursor movement.
            #expect(!backup.errors.contains("\r") && !backup.errors.contains("\u{1B}"))
            #expect(backup.errors.contains("100 %"), "\(backup.errors)")

            func mode(_ path: String) throws -> Int? {
                (try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber)?.intValue
            }
            #expect(try mode(path) == 0o700)
            let names = try FileManager.default.contentsOfDirectory(atPath: path)
            #expect(names.count == 3)
            for name in names { #expect(try mode("\(path)/\(name)") == 0o600, "\(name)") }
            let beside = try FileManager.default.contentsOfDirectory(atPath: installation.folder.path)
            #expect(beside.filter { $0.contains("partial") || $0.contains("replaced") } == [])
        }
    }

    @Test("replaces an earlier backup only when told, and nothing else at all", arguments: Engine.allCases)
    func overwriting(engine: Engine) async throws {
        let installation = try await Installation(engine)
        try await installation.run("migrate", "up")
        let path = installation.backupPath()
        try await installation.run("backup", "--service", "auth", "--to", path)
        let manifest = try String(contentsOfFile: "\(path)/manifest.json", encoding: .utf8)
        let again = try await installation.outcome("backup", "--service", "auth", "--to", path)
        #expect(!again.isSuccess && again.lastErrorLine.contains("--force"), "\(again)")
        #expect(try String(contentsOfFile: "\(path)/manifest.json", encoding: .utf8) == manifest)
        try await installation.run("backup", "--service", "auth", "--to", path, "--force")
        #expect(try String(contentsOfFile: "\(path)/manifest.json", encoding: .utf8) != manifest)

        let other = installation.backupPath("photographs")
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: true)
        try Data("holiday".utf8).write(to: URL(filePath: "\(other)/1.jpg"))
        let foreign = try await installation.outcome("backup", "--to", other, "--force")
        #expect(!foreign.isSuccess && foreign.lastErrorLine.contains("no backup"), "\(foreign)")
        #expect(FileManager.default.contents(atPath: "\(other)/1.jpg") == Data("holiday".utf8))
    }

    @Test("of a database that is not there, or has no tables, is refused and makes nothing", arguments: Engine.allCases)
    func nothingThere(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let path = installation.backupPath()
        let empty = try await installation.outcome("backup", "--to", path)
        #expect(!empty.isSuccess && empty.errors.split(separator: "\n").count <= 2, "\(empty)")
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(!FileManager.default.fileExists(atPath: installation.folder.appending(path: "data/auth.sqlite").path))
    }

    /// Two messages in one transaction; now and then a user.
    private static func write(
        _ writer: Int,
        _ number: Int,
        to installation: Installation,
        _ token: String,
        _ acknowledged: Acknowledged
    ) async throws {
        let made = try await installation.chat.post(
            "/v1/conversations",
            [
                "messages": [
                    ["role": "user", "content": .string("question \(writer) \(number)")],
                    ["role": "assistant", "content": .string("answer \(writer) \(number)")],
                ]
            ],
            token: token
        )
        guard made.status == 201, let id = made["id"].string else { return }
        acknowledged.append(conversation: id)
        guard number.isMultiple(of: 3) else { return }
        let email = "user-\(writer)-\(number)@example.com"
        if try await installation.auth.signUp(email).status == 201 { acknowledged.append(email: email) }
    }

    private static func conversations(of installation: Installation, token: String?) async throws -> [String: Int] {
        var counts: [String: Int] = [:]
        try await installation.withDatabase("chat") { database in
            let all = Statement(
                "test.conversations",
                .reads,
                """
                SELECT c.id, c.message_count,
                    (SELECT COUNT(*) FROM messages m WHERE m.conversation_id = c.id) AS there
                FROM conversations c JOIN principals p ON p.id = c.owner_id
                """
            )
            for row in try await database.run(all.bind()).rows {
                let count = try row.int("message_count")
                // The sample conversations have other sizes; they are whole if both counts agree.
                counts[try row.text("id")] = try row.int("there") == count ? 2 : -1
            }
        }
        // One of them also through the service, as its owner.
        let page = try await installation.chat.get("/v1/conversations?limit=1", token: token)
        let newest = try #require(page["data"].array.first?["id"].string, "\(page.text)")
        let whole = try await installation.chat.get("/v1/conversations/\(newest)?include=messages", token: token)
        #expect(whole["messages"].array.count == 2, "\(whole.text)")
        return counts
    }

    private final class Acknowledged: Sendable {
        struct Lists: Sendable {
            var conversations: [String] = []
            var emails: [String] = []
            var isOver = false
        }

        private let state = Mutex(Lists())
        var lists: Lists { state.withLock { $0 } }
        var isOver: Bool { state.withLock(\.isOver) }
        func end() { state.withLock { $0.isOver = true } }
        func append(conversation id: String) { state.withLock { $0.conversations.append(id) } }
        func append(email: String) { state.withLock { $0.emails.append(email) } }
    }
}
