// Rows that say what was there before and after.
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import AuthService

@Suite("Audit rows with before and after")
struct AuditTests {
    @Test("what was made has no before, and what was removed no after")
    func forms() {
        #expect(AuditDetails.none.json == "{}")
        let made = AuditDetails.change(before: nil, after: { $0.field("name", "a") })
        #expect(made.json == #"{"before":null,"after":{"name":"a"}}"#)
        let removed = AuditDetails.change(before: { $0.field("name", "a\"") }, after: nil)
        #expect(removed.json == #"{"before":{"name":"a\""},"after":null}"#)
    }

    @Test(
        "theft is a row of its own, once, and names the generations and never a token",
        arguments: TestEngine.allCases
    )
    func theft(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let second = try #require(try await node.refresh(ada.refresh).json["refresh_token"]?.string)
            _ = try await node.refresh(second)
            for _ in 0..<2 { #expect(try await node.refresh(ada.refresh).status == 401) }
            let rows = try await node.query(
                "SELECT target, details FROM audit_log WHERE action = 'refresh_token.reused'"
            )
            #expect(try rows.map { try $0.text("target") } == [ada.sessionID])
            let expected =
                #"{"before":{"state":"active","generation":2},"after":{"state":"revoked","presented":0,"#
                + #""client_id":"tessera","user_id":"\#(ada.userID)"}}"#
            #expect(try rows.first?.text("details") == expected)
            let rowID = try #require(try await node.query("SELECT id FROM refresh_tokens").first).text("id")
            let texts = try await node.query("SELECT details FROM audit_log").map { try $0.text("details") }
            #expect(!texts.contains { $0.contains(rowID) || $0.contains("tsr_") })
        }
    }

    @Test("settings that weaken defaults are recorded once for each change", arguments: TestEngine.allCases)
    func settings(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let settings = node.service.features.node.weakSettings
            let weak = ["TESSERA_RATE_LIMITS": "off", "TESSERA_REFRESH_GRACE": "60s"]
            func rows() async throws -> [String] {
                try await node.query("SELECT details FROM audit_log WHERE action = 'settings.weaken' ORDER BY seq")
                    .map { try $0.text("details") }
            }
            try await settings.record([:])
            #expect(try await rows() == [], "nothing is weak, and nothing was")
            for _ in 0..<3 { try await settings.record(weak) }
            for _ in 0..<3 { try await settings.record(["TESSERA_REFRESH_GRACE": "60s"]) }
            for _ in 0..<2 { try await settings.record([:]) }
            let both = #"{"TESSERA_RATE_LIMITS":"off","TESSERA_REFRESH_GRACE":"60s"}"#
            let one = #"{"TESSERA_REFRESH_GRACE":"60s"}"#
            let expected = [("{}", both), (both, one), (one, "{}")].map { #"{"before":\#($0),"after":\#($1)}"# }
            #expect(try await rows() == expected)
        }
    }
}
