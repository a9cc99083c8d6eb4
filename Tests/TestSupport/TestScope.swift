internal import Foundation
package import Testing

/// The scope of a run, from `TESSERA_TEST_SCOPE`; without the variable it is `test`.
package enum TestScope: String, CaseIterable, Sendable {
    /// SQLite alone, and no server or interpreter beside the test process. Quick, and half of the proof.
    case check
    /// Both engines and every program that the tests start.
    case test
    /// As `test`, and long loops run all their rounds.
    case long

    /// What the environment says; `nil` when the variable has a value that is no scope, which a project test reports.
    package static var configured: TestScope? {
        guard let name = ProcessInfo.processInfo.environment["TESSERA_TEST_SCOPE"], !name.isEmpty else { return .test }
        return TestScope(rawValue: name)
    }

    /// The scope of this run. A value that is no scope leaves nothing out.
    package static let current = configured ?? .test

    /// The rounds of a loop: a few as a rule, all of them in a long run.
    package static func rounds(_ few: Int, long: Int) -> Int {
        current == .long ? long : few
    }
}

// A test that its scope leaves out is reported as skipped, with its reason, and the summary counts it.
extension Trait where Self == ConditionTrait {
    /// The test needs PostgreSQL.
    package static var needsPostgres: Self {
        .enabled("it needs PostgreSQL") { TestEngine.allCases.contains(.postgres) }
    }

    /// The test starts a program that a developer's machine may not have: Python, a gateway, `mount`.
    package static var needsPrograms: Self {
        .enabled("it starts other programs") { TestScope.current != .check }
    }
}
