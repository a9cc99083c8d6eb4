// A person's chat data over processes and sockets: erased after auth deleted the person, whatever was down or killed
// meanwhile; gone from the disk; exported in constant memory and imported by the command.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Chat data", .timeLimit(.minutes(15)))
struct ChatDataTests {
    private static let marker = "marker7f3a90"

    @Test(
        "S20: a user whom auth deletes while chat is away is erased, also when the job is killed, and nothing is on the disk",
        arguments: Engine.allCases
    )
    func erased(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        var auth = try await installation.startAuth()
        let admin = try await installation.makeAdmin()
        let client = try await installation.makeChatClient()
        var chat = try await installation.startChat(client)
        let gone = try await installation.signUp("gone@example.com", name: Self.marker)
        let stays = try await installation.signUp("stays@example.com", name: "Stays")
        for (user, content) in [(gone, Self.marker), (stays, "words")] {
            let made = try await installation.chat.post(
                "/v1/conversations",
                [
                    "id": .string("c-\(user.id)"), "title": .string(content),
                    "messages": [["role": "user", "content": .string(content)]],
                ],
                token: user.token
            )
            #expect(made.status == 201, "\(made.text)")
        }
        let path = "/v1/conversations/c-\(gone.id)"
        let messages = try await installation.chat.get("\(path)/messages", token: gone.token)["data"]
        let message = try #require(messages.array.first?["id"].string)
        let tokens: JSONValue = [
            "role": "user", "content": .string(Self.marker), "model": .string(Self.marker), "tokens_in": .number(3),
        ]
        for (method, path, body) in [
            ("POST", "\(path)/messages", tokens),
            ("PUT", "\(path)/tags", ["tags": [.string(Self.marker)]]),
            ("PUT", "\(path)/messages/\(message)/vote", ["value": "up"]),
            ("POST", "/v1/usage/reservations", ["tokens": .number(5), "model": .string(Self.marker)]),
        ] as [(String, String, JSONValue)] {
            let made = try await installation.chat.send(method, path, body, token: gone.token)
            #expect((200..<300).contains(made.status), "\(path): \(made.text)")
        }
        // The name comes with the feed.
        try await eventually("chat knows the name") {
            try await installation.principal(gone.id)?.optionalText("display_name") == Self.marker
        }
        chat.kill()
        _ = try await chat.waitForExit()
        try await installation.addMessages(20_000, to: "c-\(gone.id)", from: 3, content: Self.marker)
        #expect(try await installation.auth.send("DELETE", "/v1/admin/users/\(gone.id)", token: admin).status == 204)
        // Each was down in turn.
        auth.kill()
        _ = try await auth.waitForExit()
        chat = try await installation.startChat(client, path: "/healthz")
        auth = try await installation.startAuth()
        // Killed after the first visible commit, in the middle of forty.
        let removed = Statement("tests.removed", .reads, "SELECT removed FROM erasure_counts WHERE removed > 0")
        try await installation.withDatabase("chat") { database async throws in
            // The killed process still holds the job's lease until it expires.
            try await eventually(within: .seconds(240), "rows are going") {
                try await !database.run(removed.bind()).isEmpty
            }
            chat.kill()
        }
        _ = try await chat.waitForExit()
        let left = try await installation.messages(of: gone.id)
        print("\(engine): killed with \(left) of 20,002 messages left")
        chat = try await installation.startChat(client)
        try await eventually(within: .seconds(240), "the erasure is completed") {
            try await installation.completedErasures() == 1
        }
        // A token that is still valid brings nothing back.
        let late = try await installation.chat.post("/v1/conversations", [:], token: gone.token)
        #expect([401, 403].contains(late.status), "\(late.text)")
        // But it shows the receipt for a day.
        let receipt = try await installation.chat.get("/v1/chat/data/erasure", token: gone.token)
        #expect(receipt.status == 200 && receipt["status"].string == "completed", "\(receipt.text)")
        #expect(try await installation.messages(of: gone.id) == 0)
        #expect(try await installation.messages(of: stays.id) == 1)
        #expect(try await installation.chat.get("/v1/conversations/c-\(stays.id)", token: stays.token).status == 200)
        let summary = try await installation.chat.get("/v1/chat/admin/users/\(gone.id)/data", token: admin)
        #expect(summary["erasure"]["status"].string == "completed", "\(summary.text)")
        #expect(summary["erasure"]["reason"].string == "user_deleted")
        // Each row once, despite the kills.
        #expect(summary["erasure"]["removed"]["messages"] == .number(20_002))
        for entity in [
            "tags", "conversation_tags", "votes", "usage_events", "usage_totals", "quota_reservations", "changes",
        ] {
            guard case .number(let removed) = summary["erasure"]["removed"][entity] else {
                Issue.record("nothing is told of \(entity)")
                continue
            }
            #expect(removed > 0, "\(entity)")
        }
        #expect(summary["erasure"]["removed"]["conversations"] == .number(1))
        #expect(try await chat.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
        #expect(!chat.output.contains(Self.marker))
        #expect(try await installation.chatDatabaseHolds("words"))
        // The service does this within six hours.
        try await installation.run("search", "purge")
        #expect(try await !installation.chatDatabaseHolds(Self.marker))
    }

    @Test("20,000 messages are exported in constant memory", arguments: Engine.allCases)
    func constantMemory(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        let auth = try await installation.startAuth()
        let chat = try await installation.startChat(try await installation.makeChatClient())
        let user = try await installation.signUp("ada@example.com", name: "Ada")
        for index in 0..<20 {
            let id = "c-\(index)"
            let body: JSONValue = ["id": .string(id), "messages": [["role": "user", "content": "first"]]]
            #expect(try await installation.chat.post("/v1/conversations", body, token: user.token).status == 201)
            // One long conversation and many short ones.
            let count = index == 0 ? 18_100 : 100
            try await installation.addMessages(count - 1, to: id, from: 2, content: String(repeating: "w", count: 400))
        }
        // A first run, so that permanent memory is allocated.
        let first = try await installation.export(token: user.token) {}
        let before = try ProcessUsage(chat.identifier).residentBytes
        let most = Peak()
        let export = try await installation.export(token: user.token) {
            most.see(try ProcessUsage(chat.identifier).residentBytes)
        }
        let grown = most.value - before
        print("\(engine): an export of \(export.bytes >> 20) MiB grew by \(grown >> 20) MiB")
        #expect(export.trailer.contains(#""principal":1,"conversation":20,"message":20000"#), "\(export.trailer)")
        #expect(export.trailer == first.trailer && export.bytes > 20 << 20)
        // A slow reader makes the service hold no more than the pieces in flight.
        #expect(grown < 14 << 20)
        #expect(try await chat.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
    }

    @Test("the command exports, imports into another installation, twice, and erases", arguments: Engine.allCases)
    func commands(engine: Engine) async throws {
        let one = try await Installation(engine)
        let other = try await Installation(engine)
        for installation in [one, other] {
            try await installation.run("migrate", "up", "--service", "chat")
        }
        try await one.withDatabase("chat") { database async throws in
            let now = Instant(seconds: 1_800_000_000)
            let principal = Statement(
                "tests.principal",
                .writes,
                ["at": .instant],
                "INSERT INTO principals (id, display_name, first_seen_at, last_seen_at) VALUES ('ada', 'Ada', :at, :at)"
            )
            let conversation = Statement(
                "tests.conversation",
                .writes,
                ["at": .instant],
                """
                INSERT INTO conversations (id, owner_id, title, created_at, updated_at)
                VALUES ('c', 'ada', 'Notes', :at, :at)
                """
            )
            _ = try await database.run(Transaction([principal.bind(["at": now]), conversation.bind(["at": now])]))
        }
        try await one.addMessages(700, to: "c", from: 1, content: Self.marker)
        let file = one.folder.appending(path: "export.ndjson")
        try await one.run("data", "export", "--user", "ada", file.path)
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
        let refused = try one.start("data", "export", "--user", "ada", file.path)
        #expect(try await refused.waitForExit() != .status(0))

        let report = try await other.run("data", "import", "--user", "grace", file.path)
        #expect(report.contains("conversations  1") && report.contains("messages  700"), "\(report)")
        let again = try await other.run("data", "import", "--user", "grace", file.path)
        #expect(again.contains("conversations  0") && again.contains("there  1"), "\(again)")
        let back = other.folder.appending(path: "back.ndjson")
        try await other.run("data", "export", "--user", "grace", back.path)
        func lines(_ url: URL) throws -> [Substring] {
            try String(contentsOf: url, encoding: .utf8).split(separator: "\n").filter {
                $0.hasPrefix(#"{"entity":"message""#)
            }
        }
        #expect(try lines(back) == lines(file) && lines(back).count == 700)
        // The ids exist there for their own user.
        let taken = try other.start("data", "import", file.path)
        #expect(try await taken.waitForExit() != .status(0))
        #expect(taken.output.contains("somebody else"), "\(taken.output)")

        let half = one.folder.appending(path: "half.ndjson")
        let text = try String(contentsOf: file, encoding: .utf8)
        try text.prefix(text.count / 2).write(to: half, atomically: true, encoding: .utf8)
        let truncated = try one.start("data", "import", half.path)
        #expect(try await truncated.waitForExit() != .status(0))
        #expect(truncated.output.contains("half.ndjson"), "\(truncated.output)")

        // Refused: a file that cannot be read twice, and an owner that no token can name.
        let executable = URL(filePath: "/usr/bin/env")
        let piped = try ServerProcess(
            executable: executable,
            arguments: [
                "bash", "-c", #"cat "$0" | "$1" data import --user hedy /dev/stdin"#, file.path,
                Installation.binary.path,
            ],
            environment: other.environment,
            folder: other.folder
        )
        #expect(try await piped.waitForExit() != .status(0))
        #expect(piped.output.contains("regular file"), "\(piped.output)")
        let nameless = try other.start("data", "import", "--user", "../ x", file.path)
        #expect(try await nameless.waitForExit() != .status(0))
        for nobody in ["../ x", "hedy"] { #expect(try await other.principal(nobody) == nil) }

        let receipt = try await other.run("data", "erase", "grace")
        #expect(receipt.contains("messages  700") && receipt.contains("conversations  1"), "\(receipt)")
        try await other.run("search", "purge")
        #expect(try await !other.chatDatabaseHolds(Self.marker))
        let nobody = try other.start("data", "erase", "nobody")
        #expect(try await nobody.waitForExit() != .status(0))
    }
}

private final class Peak: Sendable {
    private let state = Mutex(0)

    var value: Int { state.withLock { $0 } }
    func see(_ number: Int) { state.withLock { $0 = max($0, number) } }
}

extension Installation {
    /// chat's client at auth, as settings.
    func makeChatClient() async throws -> [String: String] {
        let made = try await run("clients", "create", "--name", "chat", "--id", "chat", "--scope", "events")
        let secret = try #require(made.split(separator: "\n").first { $0.hasPrefix("secret: ") }?.dropFirst(8))
        return ["TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": String(secret)]
    }

    func startChat(_ client: [String: String], path: String = "/readyz") async throws -> ServerProcess {
        let metrics = ["TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())"]
        let process = try start("chat", "--migrate", settings: client.merging(metrics) { $1 })
        try await process.waitUntilReady(port: chatPort, path: path)
        return process
    }

    func signUp(_ email: String, name: String) async throws -> (id: String, token: String) {
        let body: JSONValue = [
            "email": .string(email), "password": .string(Client.password), "name": .string(name),
        ]
        let answer = try await auth.post("/v1/signup", body)
        return (
            try #require(answer["user"]["id"].string, "\(answer.text)"),
            try #require(answer["access_token"].string)
        )
    }

    /// Appends messages to a conversation, bypassing the service.
    fileprivate func addMessages(_ count: Int, to conversation: String, from first: Int, content: String) async throws {
        let now = Instant(seconds: Int64(Date.now.timeIntervalSince1970))
        let insert = Statement(
            "tests.add_messages",
            .writes,
            [
                "conversation": .text, "first": .integer, "last": .integer, "at": .instant, "text": .text,
                "parts": .text,
            ],
            """
            INSERT INTO messages (id, conversation_id, seq, role, created_at, updated_at, content_text, parts)
            WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
            SELECT :conversation || '-' || n, :conversation, n, 'user', :at, :at, :text, :parts FROM numbers
            """
        )
        let advance = Statement(
            "tests.advance",
            .writes,
            ["conversation": .text, "count": .integer],
            "UPDATE conversations SET last_seq = :count, message_count = :count, head_message_id = :conversation || '-' || :count WHERE id = :conversation"
        )
        let last = Int64(first + count - 1)
        let parts = #"[{"type":"text","text":"\#(content)"}]"#
        try await withDatabase("chat") { database async throws in
            _ = try await database.run(
                Transaction([
                    insert.bind([
                        "conversation": conversation, "first": Int64(first), "last": last, "at": now, "text": content,
                        "parts": parts,
                    ]), advance.bind(["conversation": conversation, "count": last]),
                ]),
                priority: .long
            )
        }
    }

    func principal(_ id: String) async throws -> Row? {
        let statement = Statement(
            "tests.principal",
            .reads,
            ["id": .text],
            "SELECT display_name FROM principals WHERE id = :id"
        )
        return try await withDatabase("chat") { try await $0.run(statement.bind(["id": id])).first }
    }

    fileprivate func messages(of owner: String) async throws -> Int {
        let statement = Statement(
            "tests.messages",
            .reads,
            ["owner": .text],
            """
            SELECT COUNT(*) AS n FROM messages m JOIN conversations c ON c.id = m.conversation_id WHERE c.owner_id = :owner
            """
        )
        return try await withDatabase("chat") {
            try await $0.run(statement.bind(["owner": owner])).first?.int("n") ?? -1
        }
    }

    fileprivate func completedErasures() async throws -> Int {
        let statement = Statement(
            "tests.erasures",
            .reads,
            "SELECT COUNT(*) AS n FROM erasures WHERE completed_at IS NOT NULL"
        )
        return try await withDatabase("chat") { try await $0.run(statement.bind()).first?.int("n") ?? -1 }
    }

    /// Whether a text is anywhere in chat's part of the data folder or in its database: in SQLite's files with the log,
    /// or in a dump of PostgreSQL.
    fileprivate func chatDatabaseHolds(_ text: String) async throws -> Bool {
        let url = databaseURL("chat")
        let script =
            url.hasPrefix("sqlite:")
            // Without matches grep exits with 1; the log may be missing, the file may not.
            ? #"[ -f "$0" ] && cat "$0"* | grep -c -a -F "$1" || [ "${PIPESTATUS[*]}" = "0 1" ]"#
            : #"set -o pipefail; pg_dump "$0" | grep -c -a -F "$1" || [ "${PIPESTATUS[0]}" = 0 ]"#
        let place = url.hasPrefix("sqlite:") ? String(url.dropFirst("sqlite:".count)) : url
        let process = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: ["bash", "-c", script, place, text],
            environment: [:],
            folder: folder
        )
        let output = try await process.waitForSuccess().trimmingCharacters(in: .whitespacesAndNewlines)
        return try #require(Int(output), "\(output)") > 0
    }

    fileprivate func export(
        token: String,
        _ look: () throws -> Void
    ) async throws -> (bytes: Int, trailer: Substring) {
        var request = HTTPClientRequest(url: chat.base + "/v1/chat/export")
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(120))
        try #require(response.status == .ok)
        var bytes = 0
        var end: [UInt8] = []
        for try await chunk in response.body {
            bytes += chunk.readableBytes
            // `suffix` of the view would look at each byte of megabytes and block the thread for other tests.
            let last = min(1000, chunk.readableBytes)
            end += chunk.getBytes(at: chunk.writerIndex - last, length: last) ?? []
            end = Array(end[max(0, end.count - 1000)...])
            try look()
        }
        return (bytes, String(decoding: end, as: UTF8.self).split(separator: "\n").last ?? "")
    }
}
