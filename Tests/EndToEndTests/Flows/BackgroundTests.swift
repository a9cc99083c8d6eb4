import Foundation
import Storage
import TestSupport
import Testing

@Suite("Background work", .timeLimit(.minutes(15)))
struct BackgroundTests {
    /// Kinds that exist once per database or address.
    private static let repeated = ["DatabaseService", "ListeningService", "PreludeService", "Hummingbird.DateCache"]

    @Test("each process runs each background job once")
    func once() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_LOG_LEVEL": "debug"])
        let auth = ["RevocationFollowing", "KeyMaintenance", "CleanupService", "PasswordHasher"]
        let chat = [
            "AskingService", "FollowingService", "MirrorService", "BlockedPrincipalsWatch", "ErasureService",
            "ChangeNotices", "ChatCleanupService", "SearchMaintenanceService",
        ]
        let node = try await installation.startAuth()
        let client = try await installation.makeChatClient()
        let other = try await installation.startChat(client)
        try expect(auth, in: node)
        try expect(chat, in: other)
        for process in [other, node] { #expect(try await process.terminate() == .status(0)) }
        let both = try await installation.startDev()
        try expect(auth + chat, in: both)
        #expect(try await both.terminate() == .status(0))
    }

    private func expect(_ jobs: [String], in process: ServerProcess) throws {
        var counts: [String: Int] = [:]
        for line in process.output.split(separator: "\n") {
            guard let line = try? JSONValue(parsing: String(line)), line["message"].string == "Starting service",
                let kind = line["sl-service"].string?.split(separator: "<").first
            else { continue }
            counts[String(kind), default: 0] += 1
        }
        for job in jobs { #expect(counts[job] != nil, "\(job) does not run: \(counts)") }
        let twice = counts.filter { $0.value > 1 && !Self.repeated.contains($0.key) }
        #expect(twice.isEmpty, "\(twice)")
    }

    @Test(
        "at rest nothing is asked over HTTP and nothing is logged; what happens then takes effect",
        arguments: Engine.allCases
    )
    func rest(engine: Engine) async throws {
        let installation = try await Installation(engine, Installation.quickHashing)
        let process = try await installation.startDev()
        // The moment up to which chat has read auth's events. It advances while auth is reachable.
        let taken = "tessera_chat_mirror_read_seconds"
        try await eventually("chat follows auth's events") {
            guard try await installation.metric("tessera_verifier_current") == 1 else { return false }
            return try await installation.metric(taken) != nil
        }
        let start = try #require(try await installation.metric(taken))
        let requests = try await installation.metric("tessera_http_requests_total")
        let mark = Date.now
        try await eventually("chat has heard for ten seconds that there is nothing") {
            try await installation.metric(taken) ?? 0 >= start + 10
        }
        #expect(try await installation.metric("tessera_http_requests_total") == requests)
        let lines = process.output.split(separator: "\n").filter { line in
            let entry = try? JSONValue(parsing: String(line))
            // A busy machine makes a statement slow.
            guard let at = entry?["at"].string, entry?["message"].string != "slow sql" else { return false }
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
            return (try? Date(at, strategy: style)).map { $0 > mark } ?? true
        }
        #expect(lines.count == 0, "\(lines.first ?? "")")

        // The check is not blind: the counter moves, and the user arrives.
        let user = try await installation.signUp("ada@example.com", name: "Ada")
        try await eventually("chat knows the name") {
            try await installation.principal(user.id)?.optionalText("display_name") == "Ada"
        }
        #expect(try await installation.metric("tessera_http_requests_total") ?? 0 > requests ?? 0)
        #expect(try await process.terminate() == .status(0))
    }
}
