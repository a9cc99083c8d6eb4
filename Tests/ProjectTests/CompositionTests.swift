import Foundation
import Testing

@Suite("Composition roots")
struct CompositionTests {
    private static let several = [
        // Two ways to judge a token (docs/decisions/0015), and a guard for each door.
        "TokenVerifier", "TokenVerifierMiddleware", "RequestLimitMiddleware",
        // One for each job.
        "JobLease",
        // No part, but a text that is compared with a request's.
        "RequestText",
    ]

    @Test("each part of a service is made once")
    func once() throws {
        var seen = 0
        for folder in ["Sources/AuthService", "Sources/ChatService"] {
            let roots = Repository.swiftFiles(under: folder)
                .filter { $0.wholeMatch(of: #/Sources/[A-Za-z]+/(?:Auth|Chat)Service[^/]*\.swift/#) != nil }
            let made = Self.made(in: try roots.map { try Repository.text($0) }.joined(separator: "\n"))
            seen += made.count
            #expect(made.filter { $0.value > 1 && !Self.several.contains($0.key) }.isEmpty, "\(folder)")
        }
        #expect(seen > 40)
    }

    @Test("a part that is made twice would be noticed")
    func twice() {
        let source = """
            // Parts() in a comment
            self.parts = Parts(a: Other(), b: other.Parts())
            let more = Parts()
            """
        #expect(Self.made(in: source) == ["Parts": 2, "Other": 1])
    }

    private static func made(in source: String) -> [String: Int] {
        var counts: [String: Int] = [:]
        for line in source.split(separator: "\n") where !line.trimmingCharacters(in: .whitespaces).hasPrefix("//") {
            for match in line.matches(of: #/(?:^|[^.A-Za-z0-9_])([A-Z][A-Za-z]*)\(/#) {
                counts[String(match.1), default: 0] += 1
            }
        }
        return counts
    }
}
