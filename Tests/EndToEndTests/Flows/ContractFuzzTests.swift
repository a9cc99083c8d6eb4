// Schemathesis sends both running services valid and invalid requests from openapi.yaml: examples, edges, random ones
// and sequences, the same each time. `make fuzz` tests the release binary for longer.
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
            environment: AnswerLog.file.map { ["TESSERA_TEST_ANSWERS": $0] } ?? [:],
            folder: installation.folder
        )
        let exit = try await fuzz.waitForExit(within: .seconds(1200))
        #expect(exit == .status(0), "\(fuzz.output)")
        // A run without requests would succeed too.
        #expect(fuzz.output.matches(of: /([0-9]+) generated, \1 passed/).count == 2, "\(fuzz.output)")
    }
}
