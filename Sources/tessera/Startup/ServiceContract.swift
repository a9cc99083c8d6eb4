// The contract of one service, derived from openapi.yaml, which describes both.
//
// The file is text that this project writes, so it is cut by its indentation and not parsed: an operation is a block of
// `paths`, and a component a block of its category. What remains is all operations of the service, the components that
// they reach, and the blocks whose YAML anchors they use. A test parses the result and compares it with the routes.

/// One service's part of openapi.yaml.
struct ServiceContract {
    private let service: String
    /// Where clients reach the service.
    private let publicURL: String

    /// - Parameters:
    ///   - service: `auth` or `chat`, as the file's `servers` describe them.
    ///   - publicURL: of the service, without a slash at the end.
    init(of service: String, at publicURL: String) {
        self.service = service
        self.publicURL = publicURL
    }

    /// Returns the document.
    ///
    /// - Parameters:
    ///   - whole: the text of openapi.yaml.
    ///   - cookie: the name of the session's cookie in this installation, instead of the one in the file.
    /// - Returns: YAML, with the operations of the service alone.
    func text(from whole: String, cookie: String) -> String {
        var head: [Block] = []
        var paths: [Block] = []
        var components: [Block] = []
        var (section, category) = ("", "")
        for line in whole.split(separator: "\n", omittingEmptySubsequences: false).map(String.init) {
            let indent = line.prefix { $0 == " " }.count
            if indent == 0, !line.isEmpty {
                section = String(line.prefix { $0 != ":" })
                head.append(Block(line))
            } else if section == "paths", indent == 2, line.hasPrefix("  /") {
                paths.append(Block(line))
            } else if section == "components", indent == 2, !line.hasPrefix("  #") {
                category = line.trimmed.replacing(":", with: "")
            } else if section == "components", indent == 4, !line.hasPrefix("    #") {
                components.append(
                    Block(line, reference: "#/components/\(category)/\(line.trimmed.prefix { $0 != ":" })")
                )
            } else if ["servers", "tags"].contains(section), line.hasPrefix("  - ") {
                head.append(Block(line, in: section))
            } else {
                switch section {
                case "paths": if !paths.isEmpty { paths[paths.count - 1].lines.append(line) }
                case "components": if !components.isEmpty { components[components.count - 1].lines.append(line) }
                default: if !head.isEmpty { head[head.count - 1].lines.append(line) }
                }
            }
        }
        let own = paths.filter { $0.isOf(service) }
        let reached = reach(from: own + head.filter { $0.section == nil }, components)
        return compose(head, own, reached, cookie)
    }

    /// The components that blocks name, with what those name.
    private func reach(from blocks: [Block], _ components: [Block]) -> [Block] {
        var isReached = components.map { _ in false }
        var next = blocks
        while !next.isEmpty {
            let (references, aliases) = (Set(next.flatMap(\.references)), Set(next.flatMap(\.aliases)))
            next = []
            for (index, component) in components.enumerated() where !isReached[index] {
                let reference = component.reference ?? ""
                guard references.contains(reference) || !aliases.isDisjoint(with: component.anchors) else { continue }
                isReached[index] = true
                next.append(component)
            }
        }
        return zip(components, isReached).filter(\.1).map(\.0)
    }

    private func compose(_ head: [Block], _ paths: [Block], _ components: [Block], _ cookie: String) -> String {
        let operations = paths.flatMap(\.lines)
        let tags = Set(operations.lazy.map(\.trimmed).filter { $0.hasPrefix("tags: [") })
        var lines: [String] = []
        for block in head {
            switch block.section {
            case "servers":
                guard block.lines.contains(where: { $0.trimmed == "description: \(service)" }) else { continue }
            case "tags":
                let name = block.lines[0].trimmed.dropFirst("- name: ".count)
                guard tags.contains("tags: [\(name)]") else { continue }
            default: break
            }
            lines += block.lines
            if block.lines[0].hasPrefix("paths:") { lines += operations }
            if block.lines[0].hasPrefix("components:") {
                var category = ""
                for component in components {
                    let own = component.reference?.split(separator: "/").dropFirst(2).first.map(String.init) ?? ""
                    if own != category { lines.append("  \(own):") }
                    category = own
                    lines += component.lines
                }
            }
        }
        return lines.map { line in
            switch line.trimmed {
            case "title: Tessera": return line + " \(service)"
            case let text where text.hasPrefix("Two services, one contract."):
                return line.replacing(
                    text,
                    with: "The operations of \(service). The other service has a document of its own."
                )
            case let text where text.hasPrefix("- url: "): return line.replacing(text, with: "- url: \(publicURL)")
            case let text where text.hasSuffix("name: __Host-tessera}"):
                return line.dropLast("__Host-tessera}".count) + "\(cookie)}"
            default: return line
            }
        }.joined(separator: "\n")
    }
}

/// Lines that belong together, the first of which names them.
private struct Block {
    var lines: [String]
    /// The list at the top of the document that it is an entry of.
    var section: String?
    /// As `$ref` has it, of a component.
    var reference: String?

    init(_ line: String, in section: String? = nil, reference: String? = nil) {
        lines = [line]
        self.section = section
        self.reference = reference
    }

    /// A path without `servers` is in both services.
    func isOf(_ service: String) -> Bool {
        guard let start = lines.firstIndex(where: { $0.hasPrefix("    servers:") }) else { return true }
        if lines[start].hasSuffix("*\(service)") || lines[start].hasSuffix("&\(service)") { return true }
        return lines[start...].prefix(3).contains { $0.trimmed == "description: \(service)" }
    }

    /// What it names by `$ref`, and schemes of security, which have none.
    ///
    /// Bytes are looked at first: each line of the file is read at each start.
    var references: [String] {
        lines.filter { $0.utf8.contains(UInt8(ascii: "#")) || $0.utf8.contains(UInt8(ascii: "[")) }.flatMap { line in
            let schemes = ["bearer", "cookie", "clientSecretBasic"].filter { line.contains("\($0): []") }
            return line.split(separator: "#/components/").dropFirst().map { part in
                "#/components/" + part.prefix { $0.isLetter || $0.isNumber || $0 == "/" }
            } + schemes.map { "#/components/securitySchemes/\($0)" }
        }
    }

    var anchors: [String] { names(behind: "&") }
    var aliases: [String] { names(behind: "*") }

    private func names(behind mark: Unicode.Scalar) -> [String] {
        lines.filter { $0.utf8.contains(UInt8(ascii: mark)) }.flatMap { line in
            line.split(separator: Character(mark), omittingEmptySubsequences: false).dropFirst().map { part in
                String(part.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
            }
        }.filter { !$0.isEmpty }
    }
}

extension String {
    fileprivate var trimmed: String { String(drop(while: { $0 == " " })) }
}
