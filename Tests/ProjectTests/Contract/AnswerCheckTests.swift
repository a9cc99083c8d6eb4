// Runs scripts/check-answers on answers that fit the contract, and on some that do not.
import Foundation
import TestSupport
import Testing

@Suite("The comparison of answers with the contract", .needsPrograms)
struct AnswerCheckTests {
    private static let contract = """
        paths:
          /v1/things/{id}:
            get:
              responses:
                '200': {description: A thing.}
                '404': {$ref: '#/components/responses/NotFound'}
          /v1/things/own:
            get: {responses: {'200': {description: Mine.}}}
        components:
          responses:
            NotFound: {description: 'Code `not_found`: it is not there.'}
        """

    @Test(
        "a status or code that is not listed is a fault, and in a whole run one that is listed and was not seen",
        arguments: [
            (
                "GET /v1/things/a 200 -\nGET /v1/things/a 404 not_found\nGET /v1/things/own 200 -\nGET /x 500 -", true,
                nil
            ),
            ("GET /v1/things/a 200 -", false, nil), ("GET /v1/things/own 404 not_found", false, "own answered 404"),
            ("GET /v1/things/a 410 gone", false, "{id} answered 410 gone, which openapi.yaml does not list"),
            ("GET /v1/things/a 404 other", false, "its response does not name the code"),
            (
                "GET /v1/things/a 404 not_found\nGET /v1/things/own 200 -", true,
                "{id} lists 200, which no test has seen"
            ),
        ] as [(String, Bool, String?)]
    )
    func comparison(answers: String, isWhole: Bool, fault: String?) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "tessera-answers-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in [("contract", Self.contract), ("answers", answers + "\n"), ("unseen", "# none\n")] {
            try Data(text.utf8).write(to: folder.appending(path: name))
        }
        func path(_ name: String) -> String { folder.appending(path: name).path }
        let script = try ServerProcess(
            executable: Repository.root.appending(path: ".venv/bin/python"),
            arguments: [
                Repository.root.appending(path: "scripts/check-answers").path, path("contract"), path("answers"),
                "--unseen", path("unseen"),
            ] + (isWhole ? ["--whole"] : []),
            environment: [:],
            folder: folder
        )
        let exit = try await script.waitForExit()
        #expect(exit == .status(fault == nil ? 0 : 1), "\(script.output)")
        if let fault { #expect(script.output.contains(fault), "\(script.output)") }
    }
}
