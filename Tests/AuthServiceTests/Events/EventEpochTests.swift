// The event log has one epoch, whichever node asks first, and another after each restore.
import AuthService
import OpenSSLCrypto
import ServiceKit
import Storage
import TestSupport
import Testing

@Suite("Event epochs")
struct EventEpochTests {
    @Test("race: nodes that ask first at the same moment agree on the name", arguments: TestEngine.allCases)
    func race(engine: TestEngine) async throws {
        try await withTestDatabase(engine, service: "auth") { test in
            let other = try await test.openAnother()
            let names = try await withThrowingTaskGroup(of: String.self) { group in
                for index in 0..<16 {
                    let epochs = EventEpochs(database: index.isMultiple(of: 2) ? test.database : other)
                    group.addTask { try await epochs.current() }
                }
                return try await group.reduce(into: Set<String>()) { $0.insert($1) }
            }
            await other.close()
            #expect(names.count == 1)
            #expect(names.first?.wholeMatch(of: /[0-9a-f]{16}/) != nil, "\(names)")
        }
    }

    @Test("a new one ends every session, tells it first, and is audited, in one unit", arguments: TestEngine.allCases)
    func begin(engine: TestEngine) async throws {
        try await withNode(engine) { node in
            let ada = try await node.signUp()
            let old = try await node.service.epochs.current()
            let seen = try await node.events(after: 0).last
            let name = try await node.service.recovery.begin(after: .restore)
            #expect(name != old)
            #expect(try await node.service.epochs.current() == name)
            #expect(try await node.events(after: seen).kinds == ["all.tokens_revoked"])
            #expect(try await node.me(ada.access).status == 401)
            #expect(try await node.refresh(ada.refresh).status == 401)
            let later = try await node.logIn()
            #expect(try await node.me(later.access).status == 200)
        }
    }

    @Test(
        "raises the global version above the database's own, the replaced one's, and the time",
        arguments: TestEngine.allCases
    )
    func version(engine: TestEngine) async throws {
        try await withDatabase(engine, service: "auth") { database async throws in
            let time = Clock { Instant(microseconds: 5_000_000) }
            let recovery = Recovery(database: database, clock: time)
            func begin(replacing version: Int64?) async throws -> Int64? {
                _ = try await recovery.begin(after: .restore, replacing: version)
                return try await recovery.globalVersion()
            }
            #expect(try await recovery.globalVersion() == 1)
            #expect(try await begin(replacing: nil) == 5000)
            // The clock stands still, or went back.
            #expect(try await begin(replacing: nil) == 5001)
            #expect(try await begin(replacing: 9000) == 9001)
            #expect(try await begin(replacing: 3) == 9002)
        }
    }

    @Test("is not begun in a database that is not auth's")
    func foreign() async throws {
        try await withDatabase(.sqlite, service: "chat") { database async throws in
            _ = await #expect(throws: StorageError.self) {
                try await Recovery(database: database).begin(after: .inPlace)
            }
        }
    }
}
