// The library's users have only its documentation: each public declaration states its meaning, measure and errors. This
// reads the formatted sources line by line.
import Foundation
import Testing

@Suite("Documentation of the library")
struct LibraryDocumentationTests {
    @Test("everything public has a comment with its meaning, units, parameters and errors")
    func everything() throws {
        var seen = 0
        for folder in ["Sources/Verifier/TesseraVerifier", "Sources/Verifier/TesseraVerifierHummingbird"] {
            for file in Repository.swiftFiles(under: folder) {
                let declarations = Declaration.all(in: try Repository.text(file))
                seen += declarations.count
                for one in declarations { #expect(one.gaps == [], "\(file):\(one.line): \(one.signature)") }
            }
        }
        #expect(seen > 100)
    }

    @Test("the catalogue leads to every public type")
    func catalogue() throws {
        let document = try Repository.text("Sources/Verifier/TesseraVerifier/TesseraVerifier.docc/TesseraVerifier.md")
        var types: [String] = []
        for file in Repository.swiftFiles(under: "Sources/Verifier/TesseraVerifier") {
            let type = #/^public (?:final )?(?:struct|class|enum|protocol|actor) ([A-Za-z]+)/#.anchorsMatchLineEndings()
            types += try Repository.text(file).matches(of: type).map { String($0.1) }
        }
        #expect(types.count > 10)
        for type in types { #expect(document.contains("- ``\(type)``"), "\(type)") }
        for link in document.matches(of: #/- ``([A-Za-z]+)``/#) { #expect(types.contains(String(link.1)), "\(link.1)") }
    }

    @Test("what is missing would be noticed")
    func gapsAreNoticed() {
        let source = """
            public struct Bare {
                /// When it ends.
                public var end: Int64
                /// When it ends, in seconds since 1970.
                public var other: Int64
                /// Does it.
                public func run(_ name: String, at time: Int64) throws {}
                /// Does it.
                ///
                /// - Parameters:
                ///   - name: of it.
                ///   - time: in seconds since 1970.
                /// - Throws: when it cannot.
                public func run(
                    _ name: String,
                    at time: Int64
                ) throws {}
                func hidden() {}
            }
            /// A choice.
            public enum Choice {
                case first
                /// The second.
                case second
            }
            /// A protocol.
            public protocol Source {
                func read() throws
            }
            """
        let gaps = Declaration.all(in: source).map(\.gaps)
        #expect(
            gaps == [
                ["no comment"], ["no unit"], [], ["no parameter name", "no parameter time", "no errors"], [], [],
                ["no comment"], [], [], ["no comment", "no errors"],
            ]
        )
    }
}

private struct Declaration {
    let line: Int
    let signature: String
    let comment: String

    var gaps: [String] {
        var gaps: [String] = []
        if comment.isEmpty { gaps.append("no comment") }
        // Equality and hashing mean the same everywhere.
        if signature.contains("static func ==") || signature.contains("func hash(into") { return gaps }
        let isCallable = signature.contains(#/\b(func|init|subscript)\b/#)
        let parameters = signature.prefix { $0 != "{" }.split(separator: "->").first.map(String.init) ?? ""
        if isCallable {
            for match in parameters.matches(of: #/(?:[(,]\s*)(?:[A-Za-z_]+ )?([A-Za-z]+): /#) {
                let name = match.1
                guard !comment.contains("- \(name):"), !comment.contains("- Parameter \(name):") else { continue }
                gaps.append("no parameter \(name)")
            }
            if signature.contains(#/\) (async )?throws/#), !comment.contains("- Throws:") { gaps.append("no errors") }
        } else if signature.contains(#/\b(var|let) [A-Za-z]+: (Int|Int64|Double)\b/#) {
            if !comment.contains(#/(?i)second|version|how many/#) { gaps.append("no unit") }
        }
        return gaps
    }

    /// Declarations marked `public`, cases of public enumerations, and requirements of public protocols.
    static func all(in source: String) -> [Declaration] {
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var found: [Declaration] = []
        var open: (indentation: Int, word: String)?
        for (index, line) in lines.enumerated() {
            let text = line.trimmingCharacters(in: .whitespaces)
            let indentation = line.prefix { $0 == " " }.count
            if let block = open, !text.isEmpty, indentation <= block.indentation { open = nil }
            let isPublic = text.hasPrefix("public ") && !text.contains(#/^public import /#)
            let isMember =
                open.map { block in
                    indentation == block.indentation + 4
                        && (block.word == "enum" ? text.hasPrefix("case ") : text.contains(#/^(func|var|init)\b/#))
                } ?? false
            guard isPublic || isMember else { continue }
            if let word = text.firstMatch(of: #/^public (?:indirect )?(enum|protocol) /#)?.1 {
                open = (indentation, String(word))
            }
            // A signature over several lines ends with its parentheses.
            var signature = text
            var next = index + 1
            while signature.count(where: { $0 == "(" }) > signature.count(where: { $0 == ")" }), next < lines.count {
                signature += " " + lines[next].trimmingCharacters(in: .whitespaces)
                next += 1
            }
            found.append(Declaration(line: index + 1, signature: signature, comment: comment(above: index, in: lines)))
        }
        return found
    }

    private static func comment(above index: Int, in lines: [String]) -> String {
        var comment: [String] = []
        var place = index - 1
        while place >= 0 {
            let text = lines[place].trimmingCharacters(in: .whitespaces)
            guard text.hasPrefix("///") || text.hasPrefix("@") else { break }
            if text.hasPrefix("///") { comment.insert(text, at: 0) }
            place -= 1
        }
        return comment.joined(separator: "\n")
    }
}
