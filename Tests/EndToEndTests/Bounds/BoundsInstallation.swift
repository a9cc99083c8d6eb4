// What the tests of bounds need: a person with conversations, and a look at the process from outside.
import Foundation
import TestSupport
import Testing

/// `tessera dev` without limits of requests, and the token of one person.
struct BoundsInstallation {
    let installation: Installation
    let process: ServerProcess
    let token: String

    init(_ engine: Engine, _ settings: [String: String] = [:]) async throws {
        installation = try await Installation(
            engine,
            settings.merging(["TESSERA_RATE_LIMITS": "off"]) { given, _ in given }
        )
        process = try await installation.startDev()
        token = try await Self.person("bounds", installation)
    }

    /// The access token of a new person.
    static func person(_ name: String, _ installation: Installation) async throws -> String {
        try #require(try await installation.auth.signUp("\(name)@example.com")["access_token"].string)
    }

    /// The id of a conversation of one message.
    func conversation() async throws -> String {
        let made = try await installation.chat.post(
            "/v1/conversations",
            ["title": "bounds", "messages": [["role": "user", "content": "root"]]],
            token: token
        )
        return try #require(made["id"].string, "\(made.text)")
    }

    /// Appends messages of one word each, in batches.
    func append(_ count: Int, to conversation: String) async throws {
        for start in stride(from: 0, to: count, by: 100) {
            let messages = (start..<min(start + 100, count)).map { number -> JSONValue in
                ["role": "user", "content": .string("word\(number)")]
            }
            let answer = try await installation.chat.post(
                "/v1/conversations/\(conversation)/messages",
                ["messages": .array(messages)],
                token: token
            )
            try #require(answer.status == 201, "\(answer.text)")
        }
    }

    /// The resident size of the process in MiB.
    func resident() throws -> Int { try mebibytes("VmRSS:") }

    /// The largest resident size that the process has had, in MiB.
    func peak() throws -> Int { try mebibytes("VmHWM:") }

    private func mebibytes(_ field: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.identifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(field) })
        return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1])) / 1024
    }

    /// Ends the process, whose size has never been above the bound of all cases.
    func end() async throws {
        let largest = try peak()
        #expect(largest < 600, "\(largest) MiB")
        #expect(try await process.terminate() == .status(0), "\(process.output.suffix(2000))")
    }

    /// By how many MiB the process grows while connections send a request over and over and read nothing, until none of
    /// them is taken any more from.
    func growth(port: Int, request: String, connections count: Int, within limit: Duration) async throws -> Int {
        let before = try resident()
        let text = Array(request.utf8)
        // What a connection has not sent of its last request yet.
        var held = try (0..<count).map { _ in (try RawConnection(port: port, receiveBuffer: 4096), text[...]) }
        var grown = 0
        var idleRounds = 0
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, idleRounds < 20 {
            var sent = 0
            for index in held.indices {
                guard let count = held[index].0.sendNow(held[index].1) else { continue }
                sent += count
                held[index].1 = held[index].1.dropFirst(count)
                if held[index].1.isEmpty { held[index].1 = text[...] }
            }
            idleRounds = sent == 0 ? idleRounds + 1 : 0
            grown = max(grown, try resident() - before)
            try await ContinuousClock().sleep(for: .milliseconds(25))
        }
        return grown
    }

    func get(_ path: String) -> String {
        "GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer \(token)\r\n\r\n"
    }
}
