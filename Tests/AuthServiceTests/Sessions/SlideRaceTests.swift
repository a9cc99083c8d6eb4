// A refresh whose session's idle end is due runs two units. What ends the session between them also raises the versions
// that the new token would carry, so no event about versions would refuse that token: the refresh itself must.
import AuthService
import HTTPTypes
import Synchronization
import TestSupport
import Testing

@Suite("A refresh that slides")
struct SlideRaceTests {
    /// What ends the sessions of a user.
    enum Ending: String, CaseIterable, Sendable {
        case sessionsRevoked, deactivated, everythingRevoked
    }

    @Test(
        "a refresh racing what ends its session gives no token, even when the session ends between its two units",
        arguments: TestEngine.allCases,
        Ending.allCases
    )
    func race(engine: TestEngine, ending: Ending) async throws {
        try await withConfiguredNode(engine, counting: true) { node in
            let units = try #require(node.database as? CountingDatabase)
            let ada = try await node.signUp()
            _ = try await node.makeAdmin()
            // Long enough for the idle end to slide, and for the tokens to be over.
            node.clock.advance(.seconds(2 * 86_400))
            let admin = try await node.logIn("root@example.com")
            let ended = Mutex<Int?>(nil)
            units.interrupt(before: "sessions.slide") {
                let (method, path, body): (HTTPRequest.Method, String, String?) =
                    switch ending {
                    case .sessionsRevoked: (.delete, "/v1/admin/users/\(ada.userID)/sessions", nil)
                    case .deactivated: (.post, "/v1/admin/users/\(ada.userID)/deactivate", nil)
                    case .everythingRevoked: (.post, "/v1/admin/sessions/revoke", #"{"all":true}"#)
                    }
                let answer = try? await node.send(method, path, body, token: admin.access)
                ended.withLock { $0 = answer?.status }
            }
            let answer = try await node.refresh(ada.refresh)
            #expect((200..<300).contains(try #require(ended.withLock { $0 }, "nothing slid")))
            #expect([401, 403].contains(answer.status), "\(answer.text)")
            #expect(!answer.text.contains("access_token"))
        }
    }
}
