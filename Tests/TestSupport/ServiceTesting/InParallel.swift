/// Runs `count` operations at once and returns what they returned, in the order in which they ended.
package func inParallel<T: Sendable>(
    _ count: Int,
    _ operation: @Sendable @escaping (Int) async throws -> T
) async throws -> [T] {
    try await withThrowingTaskGroup(of: T.self) { group in
        for index in 0..<count { group.addTask { try await operation(index) } }
        return try await group.reduce(into: []) { $0.append($1) }
    }
}
