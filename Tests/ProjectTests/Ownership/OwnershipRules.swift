struct SourceFile {
    let path: String
    let source: SourceText

    init(_ path: String, _ source: String) {
        self.path = path
        self.source = SourceText(source)
    }
}

struct OwnershipRules {
    let table: AreaTable
    let files: [SourceFile]
    private let declarations: [String: [String: String]]

    init(_ table: AreaTable, _ files: [SourceFile]) {
        self.table = table
        self.files = files
        self.declarations = Self.declarations(files, table)
    }

    var foreignWrites: Set<String> {
        var found: Set<String> = []
        for file in files {
            for item in writes(in: file.source.text) {
                if item.table == "#" {
                    if isOfService(file) { found.insert("\(file.path) writes to a table that its text does not name") }
                } else if table.knows(item.table) {
                    let owners = table.owners(of: item, writtenIn: file.path)
                    if !owners.contains(where: { AreaTable.holds($0, file.path) }) {
                        found.insert("\(file.path) writes to \(item)")
                    }
                } else if isOfService(file) {
                    found.insert("\(file.path) writes to \(item), which has no owner")
                }
            }
        }
        return found
    }

    private func writes(in text: String) -> [AreaTable.Item] {
        let words = Word.all(in: text)
        return words.indices.flatMap { index -> [AreaTable.Item] in
            let verb = words[index].text.uppercased()
            guard Self.verbs.contains(verb) else { return [] }
            let before = index > 0 ? words[index - 1].text.uppercased() : ""
            // `DO UPDATE SET` writes to the table of its INSERT, and `FOR UPDATE` to none.
            if verb == "UPDATE", ["DO", "FOR", "KEY"].contains(before) { return [] }
            let statement = String(words[index].rest.prefix { $0 != SourceText.end })
            let next = Word.all(in: statement).prefix(8).map(\.text)
            guard let name = Self.writtenName(verb, next, isPlain: words[index].text == verb) else { return [] }
            return items(name, words[index].rest)
        }
    }

    private static let verbs: Set = ["INSERT", "REPLACE", "MERGE", "DELETE", "UPDATE", "TRUNCATE"]

    /// The name behind a verb; `nil` where the verb is no statement. `isPlain`: whether the verb is in capitals. In
    /// small letters more must follow, because the text may be prose.
    private static func writtenName(_ verb: String, _ next: [Substring], isPlain: Bool) -> Substring? {
        var next = next[...]
        func skip(_ word: String) -> Bool {
            guard next.first?.uppercased() == word else { return false }
            next = next.dropFirst()
            return true
        }
        // `INSERT OR REPLACE INTO`, `UPDATE OR IGNORE`.
        if skip("OR") { next = next.dropFirst() }
        switch verb {
        case "INSERT", "REPLACE", "MERGE": guard skip("INTO") else { return nil }
        case "DELETE": guard skip("FROM") else { return nil }
        case "TRUNCATE": guard skip("TABLE") || isPlain else { return nil }
        default:
            let hasSet = next.dropFirst().prefix(3).contains { $0.uppercased() == "SET" }
            guard isPlain || hasSet else { return nil }
        }
        _ = skip("ONLY")
        // A text that ends here does not name the table.
        return next.first ?? "#"
    }

    private func items(_ name: Substring?, _ rest: Substring) -> [AreaTable.Item] {
        guard let name = name.map({ virtualTable(of: String($0)) }) else { return [] }
        let keys = table.keys(of: name)
        guard !keys.isEmpty else { return [AreaTable.Item(table: name)] }
        let statement = rest.prefix { $0 != SourceText.end }
        let named = keys.filter { statement.contains("'\($0)'") }.sorted()
        return named.isEmpty ? [AreaTable.Item(table: name)] : named.map { AreaTable.Item(table: name, key: $0) }
    }

    /// FTS5 stores a virtual table in shadow tables (sqlite.org/fts5.html, "FTS5 Data Structures").
    private func virtualTable(of name: String) -> String {
        let names = ["_data", "_idx", "_config"].filter(name.hasSuffix).map { String(name.dropLast($0.count)) }
        return names.first(where: table.knows) ?? name
    }

    /// `…Statements` of another area in code. A statement's text may use fragments.
    var foreignStatements: Set<String> {
        var found: Set<String> = []
        for file in files {
            guard let area = table.area(of: file.path), !table.isRoot(area) else { continue }
            for name in Self.names(in: file.source.code) where name.hasSuffix("Statements") {
                guard let home = home(of: name, in: area), home != area else { continue }
                found.insert("\(file.path) names \(name)")
            }
        }
        return found
    }

    var upwardNames: Set<String> {
        var found: Set<String> = []
        for file in files {
            guard let area = table.area(of: file.path), let rank = table.areas.firstIndex(of: area) else { continue }
            let names = Self.names(in: file.source.code).union(Self.names(in: file.source.interpolations))
            // A type of the same file hides others of that name.
            for name in names.subtracting(Self.declared(in: file.source.code)) {
                guard let home = home(of: name, in: area), let homeRank = table.areas.firstIndex(of: home),
                    homeRank > rank
                else { continue }
                found.insert("\(file.path) names \(name)")
            }
        }
        return found
    }

    private func home(of name: String, in area: String) -> String? { declarations[AreaTable.service(of: area)]?[name] }

    /// The areas of top-level types, by service.
    private static func declarations(_ files: [SourceFile], _ table: AreaTable) -> [String: [String: String]] {
        var homes: [String: [String: String]] = [:]
        for file in files {
            guard let area = table.area(of: file.path) else { continue }
            for line in file.source.code.split(separator: "\n") where line.first?.isWhitespace == false {
                let words = line.split(separator: " ")
                guard let kind = words.firstIndex(where: kinds.contains), kind + 1 < words.count,
                    Set(words[..<kind]).isDisjoint(with: ["private", "fileprivate"])
                else { continue }
                let name = String(words[kind + 1].prefix { $0.isLetter || $0.isNumber })
                homes[AreaTable.service(of: area), default: [:]][name] = area
            }
        }
        return homes
    }

    private static let kinds: Set<Substring> = ["struct", "enum", "class", "actor", "protocol", "typealias"]

    private static func declared(in code: String) -> Set<String> {
        let words = Word.all(in: code).map(\.text)
        return Set(zip(words, words.dropFirst()).filter { kinds.contains($0.0) }.map { String($0.1) })
    }

    /// `A.B` names A alone: B is declared inside it.
    private static func names(in code: String) -> Set<String> {
        Set(Word.all(in: code).filter(\.namesType).map { String($0.text) })
    }

    /// Calls of statements with a value that has no label, and functions that return a statement and ask for one.
    var unlabelledValues: Set<String> {
        found { file in
            words(file).contains { Self.passesUnlabelled($0) || Self.takesUnlabelled($0) }
                || Word.all(in: file.source.interpolations).contains(where: Self.passesUnlabelled)
        }
    }

    private static func passesUnlabelled(_ word: Word) -> Bool {
        guard word.text.hasSuffix("Statements"), word.rest.first == "." else { return false }
        let call = word.rest.dropFirst()
        let name = call.prefix { $0.isLetter || $0.isNumber }
        let rest = call[name.endIndex...]
        // `of(.messages)` selects the statements of a table.
        guard rest.first == "(", name != "of" else { return false }
        return Word.arguments(Word.inside(rest.dropFirst())).contains { !isBlank($0) && !isLabelled($0) }
    }

    private static func takesUnlabelled(_ word: Word) -> Bool {
        guard word.text == "func", let open = word.rest.firstIndex(of: "(") else { return false }
        let parameters = Word.inside(word.rest[open...].dropFirst())
        let behind = word.rest[open...].dropFirst(parameters.count + 2).prefix { $0 != "{" && $0 != "}" }
        let result = squeezed(String(behind.prefix(200)))
        let returnsStatement = ["BoundStatement", "[BoundStatement]", "Transaction.Handle"]
            .contains { result.hasPrefix("->\($0)") }
        guard returnsStatement else { return false }
        return Word.arguments(parameters).contains { parameter in
            // A statement that a transaction adds is no value.
            squeezed(parameter).hasPrefix("_") && !isLabelled(parameter) && !parameter.contains("BoundStatement")
        }
    }

    private static func isLabelled(_ argument: String) -> Bool {
        let label = argument.drop(while: \.isWhitespace)
        let name = label.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        return !name.isEmpty && label[name.endIndex...].first == ":"
    }

    private static func isBlank(_ argument: String) -> Bool { argument.allSatisfy(\.isWhitespace) }

    /// Parameters without names: `$1`, lists of types, lists of values.
    var positionalParameters: Set<String> {
        let types = ["boolean", "integer", "text", "bytes", "instant", "words"].map { "[.\($0)" }
        return found(outside: Self.bindingsByPosition) { file in
            Word.all(in: file.source.text).contains {
                $0.text.first == "$" && $0.text.dropFirst().first?.isNumber == true
            }
                || types.contains(where: Self.squeezed(file.source.code).contains)
                || words(file).contains {
                    ($0.text == "BoundStatement" && $0.rest.first == "(")
                        || ($0.text == "positional" && $0.rest.first == ":")
                }
        }
    }

    /// Results that are read by position.
    var resultsByNumber: Set<String> {
        let places = ["all[", "first", "last", "dropFirst", "dropLast", "prefix", "suffix", "enumerated"]
        return found(outside: Self.makersOfResults) { file in
            let code = Self.squeezed(file.source.code)
            // Whatever the results are called.
            if isOfService(file), code.contains(".all[") || places.contains(where: { code.contains(".all.\($0)") }) {
                return true
            }
            return code.contains(".run([")
                || isOfService(file) && (0...9).contains { code.contains(")[\($0)]") }
                || Word.all(in: code).contains { word in
                    if word.text == "run", let call = word.bracketed("(") {
                        let index = word.rest.dropFirst(call.count + 2)
                        return index.first == "[" && index.dropFirst().first?.isNumber == true
                    }
                    guard word.text.hasSuffix("results") || word.text.hasSuffix("Results") else { return false }
                    if let index = word.bracketed("[") {
                        // `$0` is a handle in a closure.
                        if index.first == "$", !index.contains(where: { "+-".contains($0) }) { return false }
                        return index.contains { $0.isNumber || "+-".contains($0) } || index.contains("leading")
                    }
                    guard word.rest.first == "." else { return false }
                    let members = word.rest.dropFirst()
                    return places.contains { members.hasPrefix($0) || members.hasPrefix("all.\($0)") }
                }
        }
    }

    private static func squeezed(_ code: String) -> String { code.filter { !$0.isWhitespace } }

    private func words(_ file: SourceFile) -> [Word] { Word.all(in: file.source.code) }

    private func found(_ isBad: (SourceFile) -> Bool) -> Set<String> {
        Set(files.filter { isOfService($0) && isBad($0) }.map(\.path))
    }

    private func found(outside exempt: [String], _ isBad: (SourceFile) -> Bool) -> Set<String> {
        Set(files.filter { file in !exempt.contains(where: file.path.hasPrefix) && isBad(file) }.map(\.path))
    }

    /// The statement type itself, the trial that makes values up from types, and texts that only look like SQL.
    private static let bindingsByPosition = [
        "Storage/Storage/Statements/", "Storage/StorageConformance/StatementTrial.swift",
        "Storage/StorageConformance/ValueCases.swift",
    ]

    /// What returns results in the order of the statements.
    private static let makersOfResults = ["Storage/Storage/", "Storage/StorageSQLite/", "Storage/StoragePostgres/"]

    private func isOfService(_ file: SourceFile) -> Bool {
        table.areas.contains { AreaTable.service(of: $0) == AreaTable.service(of: file.path) }
    }
}
