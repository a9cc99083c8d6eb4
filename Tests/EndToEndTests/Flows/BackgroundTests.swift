// What a process does when nobody asks it for anything.
import TestSupport
import Testing

@Suite("Background work")
struct BackgroundTests {
    /// Kinds of which a process has one for each database, and for each address with what Hummingbird adds to it.
    private static let repeated = ["DatabaseService", "ListeningService", "PreludeService", "Hummingbird.DateCache"]

    @Test("each process runs each background job once")
    func once() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_LOG_LEVEL": "debug"])
        let auth = ["RevocationFollowing", "KeyMaintenance", "CleanupService", "PasswordHasher"]
        let chat = [
            "RemoteKeySource", "FollowingService", "MirrorService", "RefusedPrincipalsWatch", "ErasureService",
            "ChangeNotices", "ChatCleanupService", "SearchBackfillService",
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

    /// Expects these jobs, and that of each kind there is one.
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
}
