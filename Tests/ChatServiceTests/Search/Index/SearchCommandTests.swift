// The operator's commands for the search index.
import HTTPTypes
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@testable import ChatService

@Suite("Commands for the search index")
struct SearchCommandTests {
    @Test("a purge by command removes what went after a pass that is under way had begun")
    func passUnderWay() async throws {
        try await withChat(.sqlite) { chat async throws in
            for word in ["qzxfirst", "qzxsecond"] {
                try await chat.create(#"{"messages":[{"role":"user","content":"\#(word)"}]}"#, as: word)
            }
            try await chat.appendManyWords(to: chat.conversation("{}"))
            #expect(try await chat.send(.delete, "/v1/chat/data", as: "qzxfirst").status < 300)
            // Begins, and stops before its first step.
            let steps = Countdown(1)
            let begun = try await SearchPurge(database: chat.database, clock: .system).run { steps.tick() }
            #expect(begun.unfinished > 0)
            #expect(try await chat.send(.delete, "/v1/chat/data", as: "qzxsecond").status < 300)
            #expect(try await chat.pagesHolding("zxsecond") > 0)

            let report = try await SearchCommands(database: chat.database, clock: .system, ids: IDGenerator(.system))
                .purge()
            #expect(report.unfinished == 0)
            #expect(try await chat.pagesHolding("zxfirst") == 0)
            #expect(try await chat.pagesHolding("zxsecond") == 0)
        }
    }
}
