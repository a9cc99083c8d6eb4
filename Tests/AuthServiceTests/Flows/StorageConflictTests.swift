// Faults that are known not to be committed are retried a bounded number of times. A client gets success, or 503 with
// Retry-After, and may retry with the same token.
import Dispatch
import HTTPTypes
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("conflicts in the database")
struct StorageConflictTests {
    /// A rollback does not reset a sequence, so it counts every attempt.
    private static let attempts = Statement(
        "tests.attempts",
        .reads,
        "SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END AS n FROM attempts"
    )

    /// The first `times` rotations of a refresh token fail with `code`.
    private static func failing(_ times: Int, with code: String) -> String {
        """
        CREATE SEQUENCE attempts;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('attempts') <= \(times) THEN RAISE EXCEPTION 'not now' USING ERRCODE = '\(code)'; END IF;
            RETURN NEW;
        END $$;
        CREATE TRIGGER fail BEFORE UPDATE ON refresh_tokens FOR EACH ROW EXECUTE FUNCTION fail();
        """
    }

    // Serialization failure, deadlock, lock timeout.
    @Test(
        "a refresh that is refused twice for bad luck is answered like any other",
        .needsPostgres,
        arguments: ["40001", "40P01", "55P03"]
    )
    func twice(code: String) async throws {
        try await withConfiguredNode(.postgres) { node async throws in
            let token = try await node.signUp().refresh
            try await node.database.withMigrationLock { try $0.execute(script: Self.failing(2, with: code)) }
            let answer = try await node.refresh(token)
            #expect(answer.status == 200)
            #expect(try await node.database.run(Self.attempts.bind()).first?.int("n") == 3)
            // It was applied once: the next generation is the client's token.
            let successor = try #require(answer.json["refresh_token"]?.string)
            #expect(try await node.refresh(successor).status == 200)
        }
    }

    @Test(
        "a refresh that is refused for ever is 503 after a few attempts, and its token is good afterwards",
        .needsPostgres,
        arguments: ["40001", "40P01", "55P03"]
    )
    func forever(code: String) async throws {
        try await withConfiguredNode(.postgres) { node async throws in
            let token = try await node.signUp().refresh
            try await node.database.withMigrationLock { try $0.execute(script: Self.failing(1_000, with: code)) }
            Self.expectRetry(try await node.refresh(token))
            let attempts = try #require(try await node.database.run(Self.attempts.bind()).first?.int("n"))
            #expect((2...6).contains(attempts), "\(attempts) attempts")
            try await node.database.withMigrationLock { try $0.execute(script: "DROP TRIGGER fail ON refresh_tokens") }
            #expect(try await node.refresh(token).status == 200)
        }
    }

    @Test(
        "while another process keeps SQLite's file a refresh is 503 after a bounded wait, and its token is good afterwards"
    )
    func heldFile() async throws {
        try await withConfiguredNode(.sqlite) { node async throws in
            let token = try await node.signUp().refresh
            let (isHeld, release) = (Flag(), DispatchSemaphore(value: 0))
            async let holder: Void = node.database.withMigrationLock { connection in
                // A connection of its own, as of another process.
                try connection.execute(script: "BEGIN IMMEDIATE")
                isHeld.isSet.store(true, ordering: .releasing)
                _ = release.wait(timeout: .now() + 60)
                try connection.execute(script: "ROLLBACK")
            }
            try await eventually("the file is held") { isHeld.isSet.load(ordering: .acquiring) }
            Self.expectRetry(try await node.refresh(token))
            release.signal()
            try await holder
            #expect(try await node.refresh(token).status == 200)
        }
    }

    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    private static func expectRetry(_ answer: AuthNode.Answer) {
        #expect(answer.status == 503)
        #expect(answer.headers[.retryAfter] != nil)
        #expect(answer.text.contains("database_unavailable"), "\(answer.text)")
        #expect(!answer.text.contains("refresh_token"))
    }
}
