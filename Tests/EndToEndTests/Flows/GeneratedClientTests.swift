// Many clients are made by a program that reads the contract. One such program reads what `tessera dev` serves, and its
// clients are used.
import Foundation
import TestSupport
import Testing

@Suite("A generated client")
struct GeneratedClientTests {
    @Test("openapi-python-client makes clients of both served documents, and they work with a running dev")
    func generated() async throws {
        let installation = try await Installation()
        let dev = try await installation.startDev()
        let script = try ServerProcess(
            executable: Installation.python,
            arguments: [
                Installation.repository.appending(path: "Tests/Interop/generated_client.py").path,
                installation.auth.base, installation.chat.base,
            ],
            environment: [:],
            folder: installation.folder
        )
        #expect(try await script.waitForExit(within: .seconds(300)) == .status(0), "\(script.output)")
        try await dev.terminate()
    }
}
