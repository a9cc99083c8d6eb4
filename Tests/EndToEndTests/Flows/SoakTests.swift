// Mixed use of both services, and an audit of what it leaves. `make soak` tests the release binary for longer.
import Foundation
import TestSupport
import Testing

@Suite("Mixed use for a while")
struct SoakTests {
    @Test(
        "every request is answered as it should be, and nothing grows with their number or stays behind",
        .needsPrograms
    )
    func soak() async throws {
        let seconds = TestScope.rounds(15, long: 1200)
        let installation = try await Installation()
        let soak = try ServerProcess(
            executable: URL(filePath: "/usr/bin/env"),
            arguments: [
                "python3", "-I", Installation.repository.appending(path: "scripts/soak").path,
                Installation.binary.path, "--seconds", "\(seconds)",
            ],
            environment: [:],
            folder: installation.folder
        )
        let exit = try await soak.waitForExit(within: .seconds(seconds + 300))
        #expect(exit == .status(0), "\(soak.output)")
        #expect(soak.output.contains("all as it should be"), "\(soak.output)")
        print(soak.output)
    }
}
