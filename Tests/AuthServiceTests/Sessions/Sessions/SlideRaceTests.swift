// A refresh that moves the idle expiry runs two transactions. If the session ends in between, the new token would carry
// the raised versions and no event would refuse it. So the refresh must fail.
import AuthService
import HTTPTypes
import Synchronization
import TestSupport
import Testing

@Suite("A refresh that slides")
struct SlideRaceTests {
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
            let counting = try #require(node.database as? CountingDatabase)
            let ada = try await node.signUp()
            _ = try await node.makeAdmin()
            node.clock.advance(.seconds(2 * 86_400))
            let admin = try await node.logIn("root@example.com")
            let ended = Mutex<Int?>(nil)
            counting.interrupt(before: "sessions.slide") {
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
