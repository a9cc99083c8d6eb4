// Small inputs that comparable systems were found to answer wrongly, each with the right answer. A case runs alone by
// its name, against the binary, on both engines: `swift test --filter plus_is_a_space_in_a_query`.
import Testing

@Suite("Edge cases", .edgeServers)
struct EdgeCases {}
