// docs/errors.md says what a client does about each refusal, and shows an interceptor that does it. Here it runs.
import Foundation
import TestSupport
import Testing

@Suite("The interceptor of docs/errors.md")
struct InterceptorTests {
    @Test("it refreshes, signs in, waits and gives up as the table says, and messages can be said in another language")
    func interceptor() async throws {
        let installation = try await Installation()
        let auth = try await installation.startAuth()
        let admin = try await installation.makeAdmin()
        let script = try ServerProcess(
            executable: Installation.python,
            arguments: [
                Installation.repository.appending(path: "Tests/Interop/interceptor.py").path,
                Installation.repository.appending(path: "docs/errors.md").path, installation.auth.base,
            ],
            environment: [:],
            folder: installation.folder,
            input: admin
        )
        #expect(try await script.waitForExit() == .status(0), "\(script.output)")
        try await auth.terminate()
    }
}
