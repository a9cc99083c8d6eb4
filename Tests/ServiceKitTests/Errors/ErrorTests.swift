import HTTPTypes
import ServiceKit
import Storage
import Testing

@Suite("Errors")
struct ErrorTests {
    @Test("a code is written in one way and says something that no other says")
    func codes() {
        for code in ErrorCode.allCases {
            #expect(code.rawValue.allSatisfy { $0.isASCII && ($0.isLowercase || $0 == "_") }, "\(code)")
            #expect(code.title.hasSuffix(".") && code.title.count > 10, "\(code)")
        }
        #expect(Set(ErrorCode.allCases.map(\.title)).count == ErrorCode.allCases.count)
    }

    @Test("a storage fault is never success, never a logout, and never tells what the database said")
    func storage() {
        let secret = "relation \"users\" does not exist"
        let cases: [(StorageError, ErrorCode)] = [
            (.unavailable(reason: secret), .databaseUnavailable), (.outcomeUnknown(reason: secret), .outcomeUnknown),
            (.timedOut(statement: secret), .timedOut), (.schema(reason: secret), .databaseUnavailable),
            (.cancelled, .databaseUnavailable),
            (.overloaded, .databaseUnavailable), (.memoryExhausted, .memoryExhausted),
            (.conflict(statement: secret, code: "40001"), .databaseUnavailable),
            (.invalidRow(column: secret), .internalError),
            (.invalidBinding(statement: secret, reason: secret), .internalError),
        ]
        for (fault, code) in cases {
            let error = APIError(fault)
            #expect(error.code == code, "\(fault)")
            #expect(error.detail == nil && error.fields.isEmpty, "\(fault)")
            // Faults that may pass have Retry-After.
            guard code != .internalError else { continue }
            #expect(error.status == .serviceUnavailable, "\(fault)")
            #expect(error.headers[.retryAfter] == "1", "\(fault)")
        }
    }

    private enum Inner: ClosedError {
        case wrong
        case fault(any Error)

        var answer: any Error {
            switch self {
            case .wrong: APIError(.invalidCredentials)
            case .fault(let error): error
            }
        }
    }

    private enum Outer: ClosedError {
        case refused(Inner)
        case fault(any Error)

        var answer: any Error {
            switch self {
            case .refused(let error): error
            case .fault(let error): error
            }
        }
    }

    @Test("an error of the logic is answered by the last that it carries, and a fault as what it is")
    func domain() {
        #expect((Outer.refused(.wrong).lastAnswer as? APIError)?.code == .invalidCredentials)
        #expect(Outer.refused(.fault(StorageError.cancelled)).lastAnswer is StorageError)
        #expect(Outer.fault(CancellationError()).lastAnswer is CancellationError)
    }

    @Test("logic throws its own errors as they are, and anything else as a fault")
    func catching() async throws {
        await #expect {
            try await Outer.catching { throw Outer.refused(.wrong) }
        } throws: { error in
            if case .refused(.wrong)? = error as? Outer { true } else { false }
        }
        await #expect {
            try await Outer.catching { throw StorageError.overloaded }
        } throws: { error in
            if case .fault(let fault)? = error as? Outer { fault is StorageError } else { false }
        }
        #expect(try await Outer.catching { 1 } == 1)
    }
}
