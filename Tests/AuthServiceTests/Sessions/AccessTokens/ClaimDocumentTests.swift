// docs/tokens.md names the claims that are there, in their order, and no others.
import AuthService
import Foundation
import OpenSSLCrypto
import ServiceKit
import TestSupport
import Testing

@Suite("The page about claims")
struct ClaimDocumentTests {
    @Test("it has a row for each claim of a user's token, and names those of a service's")
    func claims() async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../../../docs/tokens.md").standardized
        let text = try String(contentsOf: file, encoding: .utf8)
        let rows = text.matches(of: /\n\| `([a-z_]+)` \|/).map { String($0.1) }
        try await withNode(.sqlite) { node in
            let ada = try await node.signUp()
            let user = try JSONElement.parse(JWS.parse(ada.access).payload).object ?? []
            #expect(user.map(\.name.verbatim) == rows)
            let token = try await node.serviceToken(try await node.makeClient())
            let service = try JSONElement.parse(JWS.parse(token).payload).object ?? []
            let sentence = try #require(text.firstMatch(of: /A service's own token[^:]+:/)?.0)
            for name in service.map(\.name.verbatim) { #expect(sentence.contains("`\(name)`"), "\(name)") }
        }
    }
}
