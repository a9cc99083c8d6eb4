// Changes that depend on what was read before, without a lock between reading and writing.
//
// A change names the version that it expects. Where another change came first it affects no row, and reading begins
// again.

/// Repeats a change until no other came between its reading and its writing.
package enum Optimistic {
    /// How often a change is tried.
    package static let attempts = 32

    package enum Attempt<Value> {
        case done(Value)
        /// What was read had changed when it was to be written.
        case outdated
    }

    /// Returns the value of the first attempt that is done. Throws `conflict` after the last.
    package static func retry<Value>(
        attempts: Int = Self.attempts,
        _ attempt: () async throws -> Attempt<Value>
    ) async throws -> Value {
        for _ in 0..<attempts {
            if case .done(let value) = try await attempt() { return value }
        }
        throw APIError(.conflict)
    }
}

extension VersionPrecondition {
    /// The version that a change is to expect: the current one, where the request asks for certain ones. Throws
    /// `precondition_failed` when it is none of those.
    package func expectedVersion<R: VersionedRow>(_ current: () async throws -> R) async throws -> Int64? {
        guard self != .none else { return nil }
        let row = try await current()
        try check(row)
        return row.version
    }
}
