// Schemathesis reads openapi.yaml and asks both running services what it allows and what it does not: examples, edges,
// random requests and sequences of them, the same ones each time. `make fuzz` asks the release binary for longer.
import Foundation
import TestSupport
import Testing

@Suite("The contract, asked at random")
struct ContractFuzzTests {
    @Test("no answer is 5xx, and none is other than openapi.yaml tells")
    func fuzz() async throws {
        let installation = try await Installation()
        let fuzz = try ServerProcess(
            executable: Installation.python,
            arguments: [
                Installation.repository.appending(path: "scripts/fuzz-contract").path, Installation.binary.path,
                "--examples", "\(TestScope.rounds(5, long: 25))", "--seed", "1",
            ],
            environment: [:],
            folder: installation.folder
        )
        let exit = try await fuzz.waitForExit(within: .seconds(1200))
        #expect(exit == .status(0), "\(fuzz.output)")
        // A run that asked nothing would end well too.
        #expect(fuzz.output.matches(of: /([0-9]+) generated, \1 passed/).count == 2, "\(fuzz.output)")
    }
}
