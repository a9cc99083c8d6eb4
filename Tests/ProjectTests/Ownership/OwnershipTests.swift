import Foundation
import Testing

@Suite("Areas, and the tables that they own")
struct OwnershipTests {
    private let rules: OwnershipRules
    private let table: AreaTable

    init() throws {
        table = AreaTable(try Repository.text("docs/architecture.md"))
        let files = try Repository.swiftFiles(under: "Sources").map {
            SourceFile(String($0.dropFirst("Sources/".count)), try Repository.text($0))
        }
        for file in files { try #require(file.source.isBalanced, "\(file.path) is not understood") }
        rules = OwnershipRules(table, files)
    }

    @Test("each table of the migrations has one owner in docs/architecture.md")
    func everyTableHasAnOwner() throws {
        for (prefix, service) in [("auth", "AuthService"), ("chat", "ChatService")] {
            let owned = table.owners.filter { AreaTable.service(of: $0.area) == service }.map(\.item)
            #expect(Set(owned).count == owned.count)
            #expect(Set(owned.map(\.table)) == (try Self.tables(ofMigrations: prefix)))
        }
    }

    @Test("each area of docs/architecture.md is a folder or a file, and each file of a service is in one")
    func everyFileHasAnArea() throws {
        for area in table.areas { #expect(rules.files.contains { AreaTable.holds(area, $0.path) }, "\(area)") }
        let services = Set(table.areas.map(AreaTable.service(of:)))
        for file in rules.files where services.contains(AreaTable.service(of: file.path)) {
            // The area of a service itself has the files beside its folders, and none in them.
            let isInFolder = file.path.count { $0 == "/" } > 1
            let area = try #require(table.area(of: file.path), "\(file.path)")
            #expect(!isInFolder || !services.contains(area), "\(file.path)")
        }
        #expect(table.areas.count >= 15)
    }

    @Test("only the owner of a table writes to it")
    func writes() { #expect(rules.foreignWrites.sorted() == []) }

    @Test("no statements of another area are called")
    func statements() { #expect(rules.foreignStatements.sorted() == []) }

    @Test("an area names only areas above it in the table, so the graph of areas has no cycle")
    func order() { #expect(rules.upwardNames.sorted() == []) }

    @Test("no statement is handed an unlabelled value")
    func labels() { #expect(rules.unlabelledValues.sorted() == []) }

    @Test("parameters of statements have names")
    func names() { #expect(rules.positionalParameters.sorted() == []) }

    @Test("results of a transaction are read by handle")
    func handles() { #expect(rules.resultsByNumber.sorted() == []) }

    @Test("a composition root reads like a table of contents: no file of it is long")
    func roots() throws {
        let roots = rules.files.filter { table.area(of: $0.path).map(table.isRoot) ?? false }
        let long = roots.filter { $0.source.code.split(separator: "\n", omittingEmptySubsequences: false).count > 121 }
        #expect(roots.count > 4)
        #expect(long.map(\.path) == [])
    }

    private static func tables(ofMigrations prefix: String) throws -> Set<String> {
        let folder = Repository.root.appending(path: "migrations")
        var tables: Set<String> = []
        for file in try FileManager.default.contentsOfDirectory(atPath: folder.path) where file.hasPrefix(prefix) {
            let text = try Repository.text("migrations/\(file)")
            // A temporary table begins with another word.
            for match in text.matches(of: /(?m)^CREATE (?:VIRTUAL )?TABLE ([a-z_]+)/) { tables.insert(String(match.1)) }
        }
        return tables
    }
}

@Suite("The rules of ownership")
struct OwnershipRuleTests {
    private let table = AreaTable(
        """
        | area | writes | what it is |
        |---|---|---|
        | `Shop` | – | a request |
        | `Shop/Stock` | `items`, `settings: prices` | |
        | `Shop/Sales` | `orders`, `settings: taxes` | |
        | `Shop/Stock/Returns` | – | |
        | `Shop/Shop` | – | the composition root |

        | `Shop/Other` | `others` | not in the table |
        """
    )

    private func rules(_ files: [String: String]) -> OwnershipRules {
        OwnershipRules(table, files.sorted { $0.key < $1.key }.map { SourceFile($0.key, $0.value) })
    }

    @Test("a file belongs to the longest row that its path begins with")
    func areas() {
        #expect(table.area(of: "Shop/Request.swift") == "Shop")
        #expect(table.area(of: "Shop/Stock/Items/Items.swift") == "Shop/Stock")
        #expect(table.area(of: "Shop/Stock/Returns/Returns.swift") == "Shop/Stock/Returns")
        #expect(table.area(of: "Shop/Stocks/Stocks.swift") == "Shop")
        #expect(table.area(of: "Shop/Shop.swift") == "Shop/Shop")
        #expect(table.area(of: "Shop/Shop+Routes.swift") == "Shop/Shop")
        #expect(table.area(of: "Bench/Bench.swift") == nil)
    }

    @Test("writes to the tables of others are found in one-line, wrapped and raw texts, and in no comment")
    func writes() {
        let found = rules([
            "Shop/Stock/A.swift": #"let a = "UPDATE items SET b = 1"  // DELETE FROM orders"#,
            "Shop/Stock/Returns/B.swift": #"let a = "DELETE FROM items""#,
            "Shop/Sales/C.swift": #"let a = "INSERT INTO items (b) VALUES (1) ON CONFLICT (b) DO UPDATE SET b = 2""#,
            "Shop/Sales/D.swift": "let a = \"\"\"\n    DELETE FROM\n    items\n    \"\"\"",
            "Shop/Sales/E.swift":
                ##"let a = #"UPDATE "x" SET y"#; let b = "SELECT 1 FROM orders FOR UPDATE OF items""##,
            "Shop/Sales/F.swift": #"let a = "UPDATE \(table) SET b = 1""#,
            "Shop/Sales/G.swift": #"let a = "UPDATE prices_old SET b = 1""#,
            "Shop/Sales/I.swift": #"let a = "DELETE FROM " + items; let b = "orders""#,
            "Bench/H.swift": #"let a = "UPDATE items SET b"; let b = "UPDATE parents SET c"; let c = "UPDATE \(d)""#,
        ]).foreignWrites
        #expect(
            found.sorted() == [
                "Bench/H.swift writes to items", "Shop/Sales/C.swift writes to items",
                "Shop/Sales/D.swift writes to items", "Shop/Sales/E.swift writes to x, which has no owner",
                "Shop/Sales/F.swift writes to a table that its text does not name",
                "Shop/Sales/G.swift writes to prices_old, which has no owner",
                "Shop/Sales/I.swift writes to a table that its text does not name",
            ]
        )
    }

    @Test("a write is found in each of its spellings, and a word of prose is none")
    func spellings() {
        let statements = [
            "INSERT OR REPLACE INTO items (b) VALUES (1)", "REPLACE INTO items (b) VALUES (1)",
            "insert into items (b) values (1)", "Delete From only items", "UPDATE ONLY items SET b = 1",
            "update or ignore items as i set b = 1", "MERGE INTO items USING orders ON true", "TRUNCATE items",
            "truncate table only items",
        ]
        for statement in statements {
            let found = rules(["Shop/Sales/A.swift": "let a = \"\(statement)\""]).foreignWrites
            #expect(found == ["Shop/Sales/A.swift writes to items"], "\(statement)")
        }
        let texts = [
            "no update of items", "truncate items", "to replace items", "SELECT items FROM orders FOR UPDATE",
            "insert (items)", "for update of items set",
        ]
        for text in texts {
            #expect(rules(["Shop/Sales/A.swift": "let a = \"\(text)\""]).foreignWrites == [], "\(text)")
        }
    }

    @Test("a row of settings is written by the owner of its key")
    func keys() {
        let found = rules([
            "Shop/Stock/A.swift": #"let a = "UPDATE settings SET b = 1 WHERE key = 'prices'"; let b = "'taxes'""#,
            "Shop/Sales/B.swift": #"let a = "INSERT INTO settings (key) SELECT 'prices'""#,
            "Shop/Sales/C.swift": #"let a = "DELETE FROM settings""#,
        ]).foreignWrites
        #expect(
            found.sorted() == [
                "Shop/Sales/B.swift writes to settings: prices",
                "Shop/Sales/C.swift writes to settings",
            ]
        )
    }

    @Test("statements of another area may stand in a text, and are called nowhere but in their area")
    func statements() {
        let found = rules([
            "Shop/Stock/ItemStatements.swift": "enum ItemStatements {}",
            "Shop/Stock/Items.swift": "run(ItemStatements.all)",
            "Shop/Sales/Orders.swift": #"let a = "SELECT 1 WHERE \(ItemStatements.isThere(":id"))""#,
            "Shop/Stock/Returns/Returns.swift": "run(ItemStatements.all)  // ItemStatements",
            "Shop/Shop.swift": "let all = ItemStatements.all",
        ]).foreignStatements
        #expect(found == ["Shop/Stock/Returns/Returns.swift names ItemStatements"])
    }

    @Test("an area that names one below it in the table is found, also in a text")
    func order() {
        let found = rules([
            "Shop/Request.swift": "struct Request { struct Page {} }\nprivate struct Inner {}",
            "Shop/Stock/Items.swift": "struct Items { let a: Request; let b: Orders.Page }\nfinal class Shelf {}",
            "Shop/Sales/Orders.swift": "package struct Orders { let a: Items; let inner: Inner; let b = x.Returns }",
            "Shop/Sales/Page.swift": #"@MainActor enum Page { let a = "Returns \(Returns.columns)" }"#,
            "Shop/Stock/Returns/Returns.swift": "struct Returns { let a: Orders; let b: Shelf }\nprotocol Inner {}",
        ]).upwardNames
        #expect(
            found.sorted() == [
                "Shop/Sales/Orders.swift names Inner", "Shop/Sales/Page.swift names Returns",
                "Shop/Stock/Items.swift names Orders",
            ]
        )
    }

    @Test("values without a label are found, and those behind one are not")
    func labels() {
        let found = rules([
            "Shop/A.swift": "ItemStatements.rename(id, name)",
            "Shop/B.swift":
                "ItemStatements.rename(id: id, to: Name(a, b), at: c ? d : e)\nItemStatements.all()",
            "Shop/C.swift": "ItemStatements.rename(\n    a: id,\n    \"x\"\n)",
            "Shop/D.swift": "run(ItemStatements.rename(id, to: name))",
            "Shop/E.swift": #"let a = "SELECT 1 WHERE \(ItemStatements.isThere(":id"))""#,
            "Shop/F.swift": #"let a = "SELECT 1 WHERE \(ItemStatements.isThere(id: ":id"))""#,
            "Shop/G.swift": "for items in ItemStatements.of(.new).all { ItemStatements.of(items).last() }",
        ]).unlabelledValues
        #expect(found == ["Shop/A.swift", "Shop/C.swift", "Shop/D.swift", "Shop/E.swift"])
    }

    @Test("a function that returns a statement and takes a value without a label is found")
    func unlabelledParameters() {
        let found = rules([
            "Shop/A.swift": "static func find(_ id: String, at now: Instant)\n    -> BoundStatement\n{\n}",
            "Shop/B.swift": "func begin(of id: String, _ values: [String: Int]) -> [BoundStatement] { [] }",
            "Shop/C.swift":
                "func count(\n    _ change: Change,\n    to t: inout Transaction\n) -> Transaction.Handle {}",
            "Shop/D.swift": "mutating func add(_ statement: BoundStatement) -> Transaction.Handle { all(a) }",
            "Shop/E.swift": "func text(_ id: String) -> String { a }\nfunc find(id: String) -> BoundStatement { a }",
            "Shop/F.swift": "func run(_ id: String) {}\nlet make: (_ id: String) -> BoundStatement",
            "Kit/G.swift": "func find(_ id: String) -> BoundStatement { a }",
        ]).unlabelledValues
        #expect(found == ["Shop/A.swift", "Shop/B.swift", "Shop/C.swift"])
    }

    @Test("numbered parameters and lists of types and values are found")
    func positions() {
        let found = rules([
            "Shop/A.swift": #"let a = "SELECT $1""#,
            "Shop/B.swift": #"let a = Statement("a", .reads, [\#n    .text], "SELECT 1")"#,
            "Shop/C.swift": #"let a = Statement("a", .reads, ["b": .text], "SELECT :b, $$x$$"); a.map { $0 }"#,
            "Shop/D.swift": "let a = BoundStatement(b, [])",
            "Shop/E.swift": #"let a = Statement(positional: "a", .reads, "SELECT 1")"#,
            "Kit/F.swift": #"let a = "SELECT $1""#,
            "Storage/Storage/Statements/G.swift": "let a = BoundStatement(b, [])",
        ]).positionalParameters
        #expect(found == ["Shop/A.swift", "Shop/B.swift", "Shop/D.swift", "Shop/E.swift", "Kit/F.swift"])
    }

    @Test("results by number are found, and results by handle are not")
    func results() {
        let found = rules([
            "Shop/A.swift": "let a = results[0].first",
            "Shop/B.swift":
                "let a = results[renamed].first; let b = result.first; let c = rows[0]; let d = results[$0]",
            "Shop/C.swift": "let a = try await database.run(unit)[1]",
            "Shop/D.swift": "let a = results.last?.first",
            "Shop/E.swift": "let a = results.all[index]",
            "Shop/F.swift": "let a = results[first + 1]",
            "Shop/G.swift": "try await database.run(\n    [a, b])",
            "Bench/H.swift": "let a = digest(bytes)[0]; let b = waits.sorted()[3]; let c = run(unit)[first]",
            "Bench/I.swift": "let a = try await database.run(f(unit))[1]",
            "Shop/J.swift": "let answer = try await database.run(unit); return answer.all[0]",
            "Shop/K.swift": "let a = answer.all.first?.rows",
            "Shop/L.swift": "let a = answer.all.reduce(0) { $0 + $1.affected }; let b = Kind.all",
        ]).resultsByNumber
        #expect(
            found.sorted() == [
                "Bench/I.swift", "Shop/A.swift", "Shop/C.swift", "Shop/D.swift", "Shop/E.swift", "Shop/F.swift",
                "Shop/G.swift", "Shop/J.swift", "Shop/K.swift",
            ]
        )
    }

    @Test("source text is taken apart at quotes, interpolations and comments")
    func sourceText() {
        let source = SourceText(
            ##"""
            let a = "b \(c("d")) e" /* "f" */ + #"g" \#(h) \(i)"# // "j"
            let k = """
                l "m" \(n)
                """
            """##
        )
        #expect(source.isBalanced)
        #expect(Word.all(in: source.code).map(\.text) == ["let", "a", "#", "#", "let", "k"])
        #expect(Word.all(in: source.interpolations).map(\.text) == ["c", "h", "n"])
        #expect(
            source.text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
                == "b #d\u{1} e\u{1} g\" # \\(i)\u{1} l \"m\" # \u{1}"
        )
        #expect(!SourceText("let a = \"b").isBalanced)
        #expect(!SourceText("f((a)").isBalanced)
    }
}
