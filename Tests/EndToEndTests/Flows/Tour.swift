// The tour of README.md as something that can be run: the fenced blocks below `<!-- tour -->`, and what the
// document says comes out of them.
import Foundation

/// The marked blocks of a document, in order.
struct Tour {
    /// One ```sh block, and the ```json block right after it, if there is one.
    struct Block {
        /// Commands, each one line of the document (a line that ends in `\` goes on in the next).
        var commands: [String] = []
        /// What the last command is documented to print.
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

    /// The lines up to the closing fence, which is consumed.
    private static func fenced(_ lines: inout ArraySlice<Substring>) -> [Substring] {
        var inside: [Substring] = []
        while let line = lines.popFirst(), line != "```" { inside.append(line) }
        return inside
    }

    /// A shell script of all commands in one shell, so that variables live on. It stops at the first that fails,
    /// and writes a line `@@ block command` before each.
    var script: String {
        var script = "set -euo pipefail\n"
        for (number, block) in blocks.enumerated() {
            for (line, command) in block.commands.enumerated() {
                script += "echo; echo '@@ \(number) \(line)'\n\(command)\n"
            }
        }
        return script
    }

    /// What each command of a run of `script` wrote, by block and command.
    static func outputs(of run: String) -> [[Int]: String] {
        var outputs: [[Int]: String] = [:]
        for part in run.split(separator: "@@ ").dropFirst() {
            guard let end = part.firstIndex(of: "\n") else { continue }
            let place = part[..<end].split(separator: " ").compactMap { Int($0) }
            outputs[place] = part[end...].trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return outputs
    }

    /// The status that a command's comment promises: `… # 401`.
    static func promisedStatus(of command: String) -> String? {
        command.firstMatch(of: /# ([1-5][0-9][0-9])$/).map { String($0.1) }
    }
}
