import Logging
import Synchronization
import TesseraVerifier
import TestSupport
import Testing

@Suite("Keys over HTTP: what is fetched, and when")
struct RemoteKeySourceTests {
    @Test("the first token makes the set be fetched, and later ones do not")
    func firstToken() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        let verifier = verifier(remote.source())
        let token = try issuer.token()
        #expect(refusal(verifier, token) == .keysUnavailable)
        for _ in 0..<100 { _ = try await verifier.verify(token) }
        #expect(refusal(verifier, token) == nil)
        #expect(remote.fetches == 1)
    }

    @Test("without keys a service is not ready; it looks for them once a second, and is ready as soon as it has them")
    func readiness() async throws {
        let remote = ScriptedIssuer()
        let source = remote.source()
        for _ in 0..<3 {
            await #expect(throws: VerificationError(.keysUnavailable)) { try await source.requireKeys() }
        }
        #expect(remote.fetches == 1)
        try remote.publish(try TestIssuer())
        remote.pass(.seconds(1))
        try await source.requireKeys()
        // Known keys are enough, whatever happens to the issuer.
        remote.goDown()
        remote.pass(.seconds(60))
        try await source.requireKeys()
        #expect(remote.fetches == 2)
    }

    @Test("a hundred tokens that wait for the first set share one fetch")
    func sharing() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        remote.hold()
        let verifier = verifier(remote.source())
        let token = try issuer.token()
        try await withThrowingTaskGroup { group in
            for _ in 0..<100 { group.addTask { _ = try await verifier.verify(token) } }
            try await eventually("the fetch is held") { remote.held == 1 }
            remote.release()
            try await group.waitForAll()
        }
        #expect(remote.fetches == 1)
    }

    @Test("unknown keys cause one fetch in five seconds, however many they are")
    func throttle() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        let verifier = verifier(remote.source())
        let strangers = try (0..<20).map { try TestIssuer(kid: "stranger-\($0)").token() }
        for token in strangers {
            await #expect(throws: VerificationError(.unknownKey)) { try await verifier.verify(token) }
        }
        #expect(remote.fetches == 1)
        remote.pass(.milliseconds(4999))
        await #expect(throws: VerificationError(.unknownKey)) { try await verifier.verify(strangers[0]) }
        #expect(remote.fetches == 1)
        remote.pass(.milliseconds(1))
        for token in strangers {
            await #expect(throws: VerificationError(.unknownKey)) { try await verifier.verify(token) }
        }
        #expect(remote.fetches == 2)
        _ = try await verifier.verify(try issuer.token())
        #expect(remote.fetches == 2)
    }

    @Test("a scheduled fetch does not use up the look that an unknown key is owed")
    func lookDuringFetch() async throws {
        let old = try TestIssuer()
        let new = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(old)
        remote.hold()
        let source = remote.source()
        let verifier = verifier(source)
        try await source.whileRunning {
            // This fetch began before the new key was published, and will not bring it.
            try await eventually("the scheduled fetch is held") { remote.held == 1 }
            try remote.publish(old, new)
            let token = try new.token()
            async let claims = verifier.verify(token)
            remote.release()
            #expect(try await claims.subject == "user-1")
            #expect(remote.fetches == 2)
        }
    }

    @Test("while the issuer is down, its last keys serve, and an unknown key is 'cannot tell', not 'no'")
    func issuerDown() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        let verifier = verifier(remote.source())
        _ = try await verifier.verify(try issuer.token())
        remote.goDown()
        remote.pass(.seconds(60))
        let stranger = try TestIssuer().token()
        // The first look fails; a second within five seconds is skipped, and knows no more.
        for _ in 0..<2 {
            await #expect(throws: VerificationError(.keysUnavailable)) { try await verifier.verify(stranger) }
        }
        #expect(remote.fetches == 2)
        _ = try await verifier.verify(try issuer.token())
        try remote.publish(issuer)
        remote.pass(.seconds(5))
        await #expect(throws: VerificationError(.unknownKey)) { try await verifier.verify(stranger) }
    }

    @Test(
        "a broken or empty document does not replace good keys",
        arguments: ["", "<html>", "{}", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\"}]}"]
    )
    func brokenDocument(_ text: String) async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        let source = remote.source()
        try await source.refresh(afterUnknownKeyID: "any")
        remote.answer(.document(Array(text.utf8), entityTag: nil))
        remote.pass(.seconds(5))
        await #expect(throws: VerificationError(.keysUnavailable)) {
            try await source.refresh(afterUnknownKeyID: "any")
        }
        #expect(source.snapshot().keyIDs == [issuer.kid])
    }

    @Test("a service that starts before its issuer begins to accept tokens when the issuer is there")
    func lateIssuer() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        let source = remote.source(pace: .quick, standingClock: false)
        let verifier = verifier(source)
        let token = try issuer.token()
        try await source.whileRunning {
            try await eventually("it has tried more than once") { remote.fetches >= 3 }
            #expect(refusal(verifier, token) == .keysUnavailable)
            try remote.publish(issuer)
            try await eventually("the token is accepted") { refusal(verifier, token) == nil }
        }
    }

    @Test("without any key, one look in a second is made on behalf of tokens")
    func throttleWithoutKeys() async throws {
        let remote = ScriptedIssuer()
        let verifier = verifier(remote.source())
        let token = try TestIssuer().token()
        for _ in 0..<10 {
            await #expect(throws: VerificationError(.keysUnavailable)) { try await verifier.verify(token) }
        }
        #expect(remote.fetches == 1)
        remote.pass(.seconds(1))
        await #expect(throws: VerificationError(.keysUnavailable)) { try await verifier.verify(token) }
        #expect(remote.fetches == 2)
    }

    @Test("the set is asked for by its entity tag, and kept when it has not changed")
    func entityTags() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer, entityTag: "\"one\"")
        let source = remote.source()
        try await source.refresh(afterUnknownKeyID: "any")
        remote.answer(.unchanged)
        for _ in 0..<2 {
            remote.pass(.seconds(5))
            try await source.refresh(afterUnknownKeyID: "any")
        }
        #expect(source.snapshot().keyIDs == [issuer.kid])
        #expect(remote.tags == [nil, "\"one\"", "\"one\""])
    }

    @Test("cancelling the service ends it while it waits for the next fetch")
    func cancelledBetween() async throws {
        let remote = ScriptedIssuer()
        try remote.publish(try TestIssuer())
        let source = remote.source()
        let service = Task { try await source.run() }
        try await eventually("the set is there") { !source.snapshot().isEmpty }
        service.cancel()
        try await service.value
    }

    @Test("cancelling the service ends it while the issuer does not answer", .timeLimit(.minutes(15)))
    func cancelledWithin() async throws {
        let begun = Mutex(false)
        let source = RemoteKeySource(pace: KeyRefreshPace(), logger: Logger(label: "test.keys")) { _ in
            begun.withLock { $0 = true }
            try await Task.sleep(for: .seconds(3600))
            throw CancellationError()
        }
        let service = Task { try await source.run() }
        try await eventually("the fetch has begun") { begun.withLock { $0 } }
        service.cancel()
        try await service.value
    }

    @Test("a caller that gives up does not end the fetch that others wait for")
    func oneGivesUp() async throws {
        let issuer = try TestIssuer()
        let remote = ScriptedIssuer()
        try remote.publish(issuer)
        remote.hold()
        let verifier = verifier(remote.source())
        let token = try issuer.token()
        let impatient = Task { try await verifier.verify(token) }
        try await eventually("the fetch is held") { remote.held == 1 }
        let patient = Task { try await verifier.verify(token) }
        impatient.cancel()
        remote.release()
        #expect(try await patient.value.subject == "user-1")
        #expect(remote.fetches == 1)
    }
}
