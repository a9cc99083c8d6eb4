import TestSupport
import Testing

@testable import TesseraVerifier

@Suite("Keys beside a feed")
struct KeyFreshnessTests {
    private let remote = ScriptedIssuer()

    /// A source that has just fetched a set with a lifetime of 100 seconds. It does not run; tests ask when it is due.
    private func source() async throws -> RemoteKeySource {
        try remote.publish(try TestIssuer(), lifetime: .seconds(100))
        let source = remote.source()
        try await source.requireKeys()
        return source
    }

    @Test("a set that the feed does not confirm is due before its lifetime ends")
    func alone() async throws {
        let source = try await source()
        #expect(source.due > remote.now)
        remote.pass(.seconds(80))
        #expect(source.due <= remote.now)
    }

    @Test("a set is not due while the feed confirms it, and is when the feed falls silent")
    func confirmed() async throws {
        let source = try await source()
        for _ in 0..<10 {
            source.confirm(for: .seconds(15))
            remote.pass(.seconds(14))
            #expect(source.due > remote.now)
        }
        remote.pass(.seconds(2))
        #expect(source.due <= remote.now)
    }

    @Test("a set is due when the longest interval is over, also while the feed confirms it")
    func longest() async throws {
        let source = try await source()
        source.confirm(for: .seconds(10_000))
        remote.pass(.seconds(3599))
        #expect(source.due > remote.now)
        remote.pass(.seconds(1))
        #expect(source.due <= remote.now)
    }

    @Test("keys that have changed are due at once, until they are fetched, whatever the feed confirms")
    func changed() async throws {
        let source = try await source()
        source.expire()
        source.confirm(for: .seconds(15))
        #expect(source.due <= remote.now)
        remote.pass(.seconds(5))
        try await source.refresh(afterUnknownKeyID: "unknown")
        #expect(remote.fetches == 2)
        #expect(source.due > remote.now)
    }

    @Test("a set that was asked for before the keys changed does not stand for the one after")
    func underWay() async throws {
        let source = try await source()
        remote.hold()
        remote.pass(.seconds(5))
        let look = Task { try await source.refresh(afterUnknownKeyID: "unknown") }
        try await eventually("the fetch is held") { remote.held == 1 }
        source.expire()
        remote.release()
        try await look.value
        source.confirm(for: .seconds(15))
        #expect(source.due <= remote.now)
    }

    @Test("a set that cannot be fetched is tried again, also while the feed confirms it")
    func failing() async throws {
        let source = try await source()
        remote.goDown()
        remote.pass(.seconds(5))
        await #expect(throws: VerificationError(.keysUnavailable)) {
            try await source.refresh(afterUnknownKeyID: "unknown")
        }
        source.confirm(for: .seconds(15))
        remote.pass(.seconds(1))
        #expect(source.due <= remote.now)
    }
}
