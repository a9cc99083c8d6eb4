// A revocation by auth takes effect at chat, which asks no other service: over processes, sockets and restarts.
import Foundation
import TestSupport
import Testing

@Suite("A revocation reaches chat", .timeLimit(.minutes(15)))
struct RevocationReachTests {
    private static let conversations = "/v1/conversations"

    private func eventuallyRefused(_ chat: Client, _ token: String?, as code: String) async throws {
        try await eventually("chat refuses the token as \(code)") {
            let answer = try await chat.get(Self.conversations, token: token)
            return answer.status == 401 && answer["code"].string == code
        }
    }

    @Test("in tessera dev, with nothing set up, and after a restart before it says that it is ready")
    func dev() async throws {
        let installation = try await Installation()
        let first = try await installation.startDev()
        let (auth, chat) = (installation.auth, installation.chat)
        let leaving = try #require(try await auth.signUp("leaving@example.com")["access_token"].string)
        let staying = try #require(try await auth.signUp("staying@example.com")["access_token"].string)
        for token in [leaving, staying] {
            #expect(try await chat.get(Self.conversations, token: token).status == 200)
        }
        #expect(try await auth.post("/v1/logout", token: leaving).status == 204)
        try await eventuallyRefused(chat, leaving, as: "session_revoked")
        #expect(try await chat.get(Self.conversations, token: staying).status == 200)
        #expect(try await first.terminate() == .status(0))

        let second = try await installation.startDev()
        // The very first answers after "ready": nothing that was revoked is accepted again.
        let answer = try await chat.get(Self.conversations, token: leaving)
        #expect(answer.status == 401)
        #expect(answer["code"].string == "session_revoked")
        #expect(try await chat.get(Self.conversations, token: staying).status == 200)
        let secret = installation.folder.appending(path: "data/chat-client-secret").path
        let mode = try FileManager.default.attributesOfItem(atPath: secret)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(!second.output.contains("tcs_"))
        #expect(try await second.terminate() == .status(0))
    }

    @Test("chat on its own serves on while auth is gone, or refuses, as it is told; and knows of no hole afterwards")
    func outage() async throws {
        let installation = try await Installation(.postgres)
        let auth = try await installation.startAuth()
        let made = try await installation.run(
            "clients",
            "create",
            "--name",
            "chat",
            "--id",
            "chat",
            "--scope",
            "events"
        )
        let secret = try #require(made.split(separator: "\n").first { $0.hasPrefix("secret: ") }?.dropFirst(8))
        let client = ["TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": String(secret)]
        let strictPort = try FreePort.take()
        let serving = try installation.start(
            "chat",
            "--migrate",
            settings: client.merging(["TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())"]) { $1 }
        )
        try await serving.waitUntilReady(port: installation.chatPort)
        let strict = try installation.start(
            "chat",
            settings: client.merging([
                "TESSERA_CHAT_PORT": "\(strictPort)", "TESSERA_VERIFIER_STALE": "1s",
                "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
            ]) { $1 }
        )
        try await strict.waitUntilReady(port: strictPort)
        let chats = [installation.chat, Client(base: "http://127.0.0.1:\(strictPort)")]

        let signup = try await installation.auth.signUp("someone@example.com")
        let token = signup["access_token"].string
        let user = try #require(signup["user"]["id"].string)
        let other = try await installation.auth.logIn("someone@example.com")["access_token"].string
        for chat in chats { #expect(try await chat.get(Self.conversations, token: token).status == 200) }

        auth.kill()
        _ = try await auth.waitForExit()
        try await eventually("the strict one refuses") {
            let answer = try await chats[1].get(Self.conversations, token: token)
            return answer.status == 503 && answer["code"].string == "revocations_unavailable"
        }
        let unready = try await chats[1].get("/readyz")
        #expect(unready.status == 503 && unready["code"].string == "revocations_unavailable", "\(unready.text)")
        #expect(try await chats[0].get(Self.conversations, token: token).status == 200)
        #expect(try await chats[0].get("/readyz").status == 200)
        // An operator ends the sessions while no node runs.
        try await installation.run("users", "revoke-sessions", user)

        let again = try await installation.startAuth()
        for chat in chats {
            try await eventually("chat knows what happened meanwhile") {
                let answer = try await chat.get(Self.conversations, token: token)
                return answer.status == 401
            }
            #expect(try await chat.get(Self.conversations, token: other).status == 401)
        }
        let fresh = try await installation.auth.logIn("someone@example.com")["access_token"].string
        for chat in chats { #expect(try await chat.get(Self.conversations, token: fresh).status == 200) }
        for process in [serving, strict, again] { #expect(try await process.terminate() == .status(0)) }
    }

    @Test(
        "without a client chat refuses to start, or says aloud that it follows nothing; with a wrong secret it is not ready"
    )
    func withoutClient() async throws {
        let installation = try await Installation()
        let silent = try installation.start("chat", "--migrate", settings: ["TESSERA_CHAT_FOLLOW": "on"])
        #expect(try await silent.waitForExit() == .status(78))
        for word in ["TESSERA_CHAT_CLIENT_ID", "deleted user", "TESSERA_CHAT_FOLLOW=off"] {
            #expect(silent.output.contains(word), "\(silent.output)")
        }
        let auth = try await installation.startAuth()
        let blind = try installation.start(
            "chat",
            "--migrate",
            settings: [
                "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())", "TESSERA_CHAT_FOLLOW": "off",
            ]
        )
        try await blind.waitUntilReady(port: installation.chatPort)
        #expect(blind.output.components(separatedBy: "chat follows nothing").count == 2)
        #expect(try await installation.chat.get("/readyz")["warnings"] == ["not_following"])
        #expect(try await blind.terminate() == .status(0))

        let wrong = try installation.start(
            "chat",
            settings: [
                "TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": "tcs_not-the-secret",
                "TESSERA_METRICS_ADDRESS": "127.0.0.1:\(try FreePort.take())",
            ]
        )
        try await wrong.waitUntilReady(port: installation.chatPort, path: "/healthz")
        try await eventually("it tells of its refusal") { wrong.output.contains("revocations are not current") }
        #expect(try await installation.chat.get("/readyz").status == 503)
        #expect(!wrong.output.contains("not-the-secret"))
        #expect(try await wrong.terminate() == .status(0))
        #expect(try await auth.terminate() == .status(0))
    }
}
