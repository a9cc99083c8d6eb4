import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Testing

@Suite("changes that depend on what was read")
struct OptimisticTests {
    @Test("the first attempt that is done is the last one made")
    func done() async throws {
        var made = 0
        let value = try await Optimistic.retry {
            made += 1
            return made < 3 ? .outdated : .done("third")
        }
        #expect(value == "third")
        #expect(made == 3)
    }

    @Test("an attempt that is never done ends in a conflict, after as many as are allowed")
    func outdated() async {
        for attempts in [1, 4, Optimistic.attempts] {
            var made = 0
            let error = await #expect(throws: APIError.self) {
                let _: Int = try await Optimistic.retry(attempts: attempts) {
                    made += 1
                    return .outdated
                }
            }
            #expect(error?.code == .conflict)
            #expect(made == attempts)
        }
    }

    @Test("an error ends the attempts")
    func error() async {
        var made = 0
        await #expect(throws: CancellationError.self) {
            let _: Int = try await Optimistic.retry {
                made += 1
                throw CancellationError()
            }
        }
        #expect(made == 1)
    }

    @Test("a version is read where a request asks for one, and is one of those asked for")
    func expectedVersion() async throws {
        let unread: () async throws -> VersionedText = { throw CancellationError() }
        #expect(try await VersionPrecondition.none.expectedVersion(unread) == nil)
        let head = HTTPRequest(
            method: .patch,
            scheme: "http",
            authority: "x",
            path: "/",
            headerFields: [.ifMatch: "\"v2\", \"v3\""]
        )
        let precondition = VersionPrecondition(Request(head: head, body: .init(buffer: ByteBuffer())))
        #expect(try await precondition.expectedVersion { VersionedText(version: 3) } == 3)
        let error = await #expect(throws: APIError.self) {
            try await precondition.expectedVersion { VersionedText(version: 4) }
        }
        #expect(error?.code == .preconditionFailed)
        #expect(error?.headers[.eTag] == "\"v4\"")
        #expect(error?.current?.string == #"{"text":"of 4"}"#)
    }

    private struct VersionedText: VersionedRow {
        let version: Int64
        func writeMembers(to writer: inout JSONWriter) { writer.field("text", "of \(version)") }
    }
}
