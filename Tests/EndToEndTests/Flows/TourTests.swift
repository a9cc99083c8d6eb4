import Foundation
import TestSupport
import Testing

@Suite("The README")
struct TourTests {
    @Test("the tour works line by line against `tessera dev`, and prints what the README shows")
    func tour() async throws {
        let readme = try String(contentsOf: Installation.repository.appending(path: "README.md"), encoding: .utf8)
        let tour = Tour(document: readme)
        #expect(tour.blocks.count >= 4)

        let installation = try await Installation(.sqlite, ["TESSERA_MASTER_KEY": ""])
        let dev = try await installation.startDev()
        let script = installation.folder.appending(path: "tour.sh")
        try tour.script.write(to: script, atomically: true, encoding: .utf8)
        let shell = try ServerProcess(
            executable: URL(filePath: "/bin/bash"),
            arguments: [script.path],
            environment: [
                "AUTH": installation.auth.base,
                "CHAT": installation.chat.base,
                "TESSERA_DATA_DIR": installation.environment["TESSERA_DATA_DIR"] ?? "",
            ],
            folder: installation.folder
        )
        let exit = try await shell.waitForExit(within: .seconds(180))
        #expect(exit == .status(0), "\(shell.output)")

        let outputs = Tour.outputs(of: shell.output)
        for (number, block) in tour.blocks.enumerated() {
            for (line, command) in block.commands.enumerated() {
                let output = try #require(outputs[[number, line]], "not reached: \(command)")
                if let status = Tour.promisedStatus(of: command) { #expect(output == status, "\(command)") }
            }
            if let documented = block.output {
                let printed = try JSONValue(parsing: outputs[[number, block.commands.count - 1]] ?? "")
                #expect(printed.memberPaths == (try JSONValue(parsing: documented)).memberPaths)
            }
        }
        #expect(try await dev.terminate() == .status(0))
    }

    @Test("a line that fails, a status that differs and an output of another shape would be noticed")
    func tourIsChecked() async throws {
        let tour = Tour(
            document: """
                <!-- tour -->
                ```sh
                A=one \\
                  B=two
                echo '{"a": [{"b": 1}]}'  # 200
                ```

                ```json
                {"a": [{"b": 2}]}
                ```
                ```sh
                not part of it
                ```
                """
        )
        #expect(tour.blocks.map(\.commands) == [["A=one \\\n  B=two", "echo '{\"a\": [{\"b\": 1}]}'  # 200"]])
        #expect(Tour.promisedStatus(of: tour.blocks[0].commands[1]) == "200")
        #expect(try JSONValue(parsing: tour.blocks[0].output ?? "").memberPaths == ["a", "a[].b"])
        #expect(try JSONValue(parsing: #"{"a": [{"c": 2}]}"#).memberPaths == ["a", "a[].c"])
        #expect(Tour.outputs(of: "\n@@ 0 0\n\n@@ 0 1\nx\ny\n") == [[0, 0]: "", [0, 1]: "x\ny"])
    }
}
