// The tour of README.md as a runnable script: the fenced blocks below `<!-- tour -->`, and their documented output.
import Foundation

struct Tour {
    /// One ```sh block, and a following ```json block, if any.
    struct Block {
        /// One line each; a line that ends in `\` continues.
        var commands: [String] = []
        /// The documented output of the last command.
        var output: String?
    }

    var blocks: [Block] = []

    init(document: String) {
        var lines = document.split(separator: "\n", omittingEmptySubsequences: false)[...]
        while let line = lines.popFirst() {
            guard line == "<!-- tour -->", lines.popFirst() == "```sh" else { continue }
            var block = Block()
            var command = ""
            for line in Self.fenced(&lines) {
                command += line
                if line.hasSuffix("\\") {
                    command += "\n"
                } else {
                    block.commands.append(command)
                    command = ""
                }
            }
            while lines.first?.isEmpty == true { lines.removeFirst() }
            if lines.first == "```json" {
                lines.removeFirst()
                block.output = Self.fenced(&lines).joined(separator: "\n")
            }
            blocks.append(block)
        }
    }

    private static func fenced(_ lines: inout ArraySlice<Substring>) -> [Substring] {
        var inside: [Substring] = []
        while let line = lines.popFirst(), line != "```" { inside.append(line) }
        return inside
    }

    /// All commands in one shell, so that variables persist. It stops at the first failure, and prints `@@ block
    /// command` before each.
    var script: String {
        var script = "set -euo pipefail\n"
        for (number, block) in blocks.enumerated() {
            for (line, command) in block.commands.enumerated() {
                script += "echo; echo '@@ \(number) \(line)'\n\(command)\n"
            }
        }
        return script
    }

    /// By block and command.
    static func outputs(of run: String) -> [[Int]: String] {
        var outputs: [[Int]: String] = [:]
        for part in run.split(separator: "@@ ").dropFirst() {
            guard let end = part.firstIndex(of: "\n") else { continue }
            let place = part[..<end].split(separator: " ").compactMap { Int($0) }
            outputs[place] = part[end...].trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return outputs
    }

    /// The status in a command's comment: `… # 401`.
    static func promisedStatus(of command: String) -> String? {
        command.firstMatch(of: /# ([1-5][0-9][0-9])$/).map { String($0.1) }
    }
}
