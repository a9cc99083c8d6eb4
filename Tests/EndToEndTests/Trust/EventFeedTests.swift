// The revocation feed between processes: the order that no reader may lose, the delay of another process's event, and
// consumers when a node stops or is killed.
import Foundation
import Storage
import TestSupport
import Testing

@Suite("Event feed between processes")
struct EventFeedTests {
    @Test(
        "while the first writer's transaction is open in another process, a follower sees neither its event nor the next",
        arguments: Engine.allCases
    )
    func order(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let node = try await installation.startAuth()
        let admin = try await installation.makeAdmin()
        let ada = try await installation.auth.signUp("ada@example.com")
        let held = try await installation.auth.signUp("held@example.com")
        let heldID = try #require(held["user"]["id"].string)
        let stream = try await installation.follow()
        try await eventually("the stream has caught up") { stream.isCaughtUp }
        let before = stream.received.count

        let first = try await HeldWriter.start(engine, installation, user: heldID)
        // The second writer, at the node: it begins after the first has its number, and must not overtake it.
        let session = try #require(ada["session"]["id"].string)
        async let second = installation.auth.send("DELETE", "/v1/admin/sessions/\(session)", token: admin)
        try await first.untilAnotherWaits()
        // Time for a second writer that does not wait, and for its event to arrive: a heartbeat says that the stream
        // has everything that its node has read.
        let heartbeats = stream.heartbeats
        try await eventually("the stream's node vouches for the log") { stream.heartbeats > heartbeats }
        #expect(stream.received.count == before)
        #expect(try await installation.eventUsers().count == before)
        try await first.release()
        #expect(try await second.status == 204)
        try await eventually("both events are told") { stream.received.count == before + 2 }
        let received = stream.received.suffix(2)
        #expect(received.map(\.name) == ["user.tokens_revoked", "session.revoked"])
        #expect(received.first?.data.contains(heldID) == true)
        #expect(stream.received.map(\.seq) == stream.received.map(\.seq).sorted())
        let token = try await installation.serviceToken()
        let page = try await installation.auth.get("/v1/events?after=\(stream.received[before - 1].id)", token: token)
        #expect(page["data"].array.map { $0["id"].string } == received.map(\.id))
        #expect(try await node.terminate() == .status(0))
    }

    @Test("a command in another process is noticed within 100 ms", arguments: Engine.allCases)
    func noticed(engine: Engine) async throws {
        let installation = try await Installation(engine)
        let node = try await installation.startAuth()
        _ = try await installation.auth.signUp("ada@example.com")
        let stream = try await installation.follow()
        try await eventually("the stream has caught up") { stream.isCaughtUp }
        var delays: [Duration] = []
        // The bound is the issue's. The median of five, since a busy machine may stop any process for that long; and at
        // most four rounds, since it may be busy for seconds. A node that polls once a second would fail all four.
        for count in 0..<20 {
            if count.isMultiple(of: 5) {
                if count > 0, delays.sorted()[2] < .milliseconds(100) { break }
                delays = []
            }
            let index = stream.events.count
            let command = try installation.start("users", "revoke-sessions", "ada@example.com")
            try await eventually("the event is told") { stream.events.count > index }
            // From the time in the event, which the command takes before it writes, to the arrival at the reader.
            let at = try #require(try JSONValue(parsing: stream.events[index].data)["at"].string)
            let written = try Date(at, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            let arrived = Date.now.addingTimeInterval(-(stream.time(of: index).duration(to: .now) / .seconds(1)))
            delays.append(.seconds(arrived.timeIntervalSince(written)))
            try await command.waitForSuccess()
        }
        print("\(engine): a command's event is told after \(delays.sorted().map(\.milliseconds)) ms")
        #expect(delays.sorted()[2] < .milliseconds(100), "\(delays)")
        #expect(try await node.terminate() == .status(0))
    }

    @Test(
        "a consumer of a node that was killed has each event once, in order, from the next",
        arguments: Engine.allCases
    )
    func killed(engine: Engine) async throws {
        let installation = try await Installation(engine)
        var node = try await installation.startAuth()
        _ = try await installation.auth.signUp("ada@example.com")
        var received: [EventStreamReader.Event] = []
        var stream = try await installation.follow()
        for _ in 0..<2 {
            try await eventually("the stream has caught up") { stream.isCaughtUp }
            let login = try await installation.auth.logIn("ada@example.com")
            _ = try await installation.auth.post("/v1/logout", token: login["access_token"].string)
            let last = try await installation.auth.logIn("ada@example.com")
            // Killed while it sends.
            async let logout = try? installation.auth.post("/v1/logout", token: last["access_token"].string)
            node.kill()
            _ = await logout
            try await eventually("the stream has ended") { stream.hasEnded }
            _ = try await node.waitForExit()
            received += stream.received
            let lastID = stream.lastID
            // Committed while no node ran.
            try await installation.run("users", "revoke-sessions", "ada@example.com")
            node = try await installation.startAuth()
            stream = try await installation.follow(after: lastID)
        }
        try await eventually("the stream has caught up") { stream.isCaughtUp }
        received += stream.received
        #expect(try await node.terminate() == .status(0))
        let kinds = received.map(\.name)
        #expect(kinds.first == "user.created")
        #expect(kinds.count { $0 == "user.tokens_revoked" } == 2)
        #expect(kinds.count { $0 == "session.revoked" } >= 2)
        #expect(received.count == (try await installation.eventUsers()).count)
        #expect(received.map(\.seq) == received.map(\.seq).sorted() && Set(received.map(\.seq)).count == received.count)
    }

    @Test("SIGTERM ends streams at once, those that nobody reads too")
    func shutdown() async throws {
        let installation = try await Installation()
        let node = try await installation.startAuth()
        let streams = [try await installation.follow(), try await installation.follow("?since=1h")]
        let stuck = try await installation.follow("?since=1h", reads: false)
        try await installation.makeEvents(2000, padding: 1000)
        do {
            try await eventually(within: .seconds(60), "both readers have all of it") {
                streams.allSatisfy { $0.lastID?.hasSuffix(":2000") == true }
            }
        } catch {
            Issue.record(
                "\(error): \(streams.map { "\($0.status) at \($0.lastID ?? "–"), ended: \($0.hasEnded)" }); \(node.output)"
            )
            return
        }
        let start = ContinuousClock.now
        #expect(try await node.terminate() == .status(0))
        let time = start.duration(to: .now)
        // Requests in flight would have had 10 s.
        #expect(time < .seconds(8), "\(time)")
        try await eventually("the streams have ended") { streams.allSatisfy(\.hasEnded) }
        withExtendedLifetime(stuck) {}
    }

    @Test("followers that take nothing cost the node no memory to speak of")
    func memory() async throws {
        let installation = try await Installation()
        let node = try await installation.startAuth()
        let stuck = try await (0..<20).asyncMap { _ in try await installation.follow(reads: false) }
        var reader = try await installation.follow()
        try await eventually("the reader has caught up") { reader.isCaughtUp }
        try await installation.makeEvents(1000, padding: 1000)
        try await eventually("the reader has the first") { reader.lastID?.hasSuffix(":1000") == true }
        let before = try ProcessUsage(node.identifier).residentBytes
        for _ in 0..<2 { try await installation.makeEvents(2500, padding: 2000) }
        try await eventually(within: .seconds(150), "the reader has all of it") {
            // A node that is too busy to read its log ends its streams.
            if reader.hasEnded { reader = try await installation.follow(after: reader.lastID) }
            return reader.lastID?.hasSuffix(":6000") == true
        }
        let grown = try ProcessUsage(node.identifier).residentBytes - before
        print("20 stuck followers of 11 MB of events each: the node grew by \(grown >> 20) MiB")
        // Queued for each of them it would be more than 220 MB.
        #expect(grown < 130 << 20)
        withExtendedLifetime(stuck) {}
        #expect(try await node.terminate() == .status(0))
    }

    @Test("1,000 idle followers cost less than a tenth of a core", arguments: Engine.allCases)
    func idleFollowers(engine: Engine) async throws {
        let installation = try await Installation(engine, ["TESSERA_MAX_CONNECTIONS_PER_NETWORK": "2000"])
        let node = try await installation.startAuth()
        let token = try await installation.serviceToken()
        let metrics = Client(base: "http://\(installation.environment["TESSERA_METRICS_ADDRESS"] ?? "")")
        var followers: [EventStreamReader] = []
        for count in stride(from: 100, through: 1000, by: 100) {
            // No more at once than a listening socket's backlog: the rest would retry ever later.
            followers += try (0..<100).map { _ in
                try EventStreamReader(port: installation.authPort, token: token, reads: false)
            }
            try await eventually("\(count) follow") {
                try await metrics.get("/metrics").text.contains(
                    try Regex("tessera_event_followers(\\{\\})? \(count)(\\.0)?\n")
                )
            }
        }
        let reader = try await installation.follow()
        try await eventually("the reader hears heartbeats") { reader.heartbeats > 0 }
        let before = try ProcessUsage(node.identifier)
        let start = ContinuousClock.now
        let heartbeats = reader.heartbeats
        try await eventually("a heartbeat is heard") { reader.heartbeats > heartbeats }
        let time = start.duration(to: .now)
        let used = try ProcessUsage(node.identifier).processorTime - before.processorTime
        let share = used / time
        print("\(engine): 1,000 idle followers cost \((share * 1000).rounded() / 10) % of a core")
        // The bound is the issue's; the tests' binary is not optimised.
        #expect(share < 0.1)
        _ = try await installation.auth.signUp("ada@example.com")
        try await eventually("the event is told") { reader.received.count == 1 }
        followers[500].resume()
        try await eventually("to one of the thousand too") { followers[500].received.count == 1 }
        #expect(try await node.terminate() == .status(0))
    }
}

struct ProcessUsage {
    let processorTime: Duration
    let residentBytes: Int

    init(_ process: Int32) throws {
        // proc_pid_stat(5): fields behind the name, which is in parentheses and may contain anything.
        let stat = try String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)
        let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ").dropFirst()
        let numbers = fields.map { Int($0) ?? 0 }
        let (user, system, pages) = (numbers[11], numbers[12], numbers[21])
        // Hundredths of a second on every Linux (USER_HZ).
        processorTime = .milliseconds((user + system) * 10)
        residentBytes = pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
}

extension Duration {
    fileprivate var milliseconds: Int { Int(self / .milliseconds(1)) }
}

extension Range<Int> {
    fileprivate func asyncMap<Result>(_ transform: (Int) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
