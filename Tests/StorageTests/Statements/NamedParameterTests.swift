import AuthService
import ChatService
import Storage
import Testing

@Suite("Named parameters")
struct NamedParameterTests {
    @Test("a name becomes its position, for each engine in its own form, as often as it is used")
    func positions() {
        let statement = Statement(
            "test.positions",
            .writes,
            ["id": .text, "now": .instant],
            "UPDATE t SET a = :now, b = :now WHERE id = :id"
        )
        #expect(statement.fault == nil)
        #expect(statement.text(for: .postgres) == "UPDATE t SET a = $2, b = $2 WHERE id = $1")
        #expect(statement.text(for: .sqlite) == "UPDATE t SET a = ?2, b = ?2 WHERE id = ?1")
    }

    @Test(
        "casts, quoted text, dollar quotes and comments hold no parameter",
        arguments: [
            "SELECT 'a:id' , :id", "SELECT 'it''s :id' , :id", "SELECT \"c:id\" , :id", "SELECT a::id , :id",
            "SELECT $$ :id $$ , :id", "SELECT $tag$ :id $$ :id $tag$ , :id", "SELECT 1 -- :id\n , :id",
            "SELECT 1 /* :id */ , :id", "SELECT ':", "SELECT $$ :id", "SELECT '\u{1F600}:id' , :id",
        ]
    )
    func opaqueText(sql: String) {
        let statement = Statement("test.opaque", .reads, ["id": .text], sql)
        let expected = sql.hasSuffix(", :id") ? sql.dropLast(3) + "$1" : Substring(sql)
        #expect(statement.text(for: .postgres) == String(expected))
    }

    @Test("a name that only the text or only the declaration knows is a fault, and such a statement does not run")
    func faults() {
        let undeclared = Statement("test.undeclared", .reads, ["id": .text], "SELECT :id, :other")
        #expect(undeclared.fault == ":other is not declared")
        let unused = Statement("test.unused", .reads, ["id": .text, "other": .text], "SELECT :id")
        #expect(unused.fault == ":other is declared and not used")
        let twice = Statement("test.twice", .reads, ["id": .text, "id": .text], "SELECT :id")
        #expect(twice.fault == "a parameter is declared twice")
        #expect(throws: StorageError.self) { try undeclared.bind(["id": "a"]).validate() }
    }

    @Test("a parameter that one engine alone needs is no fault")
    func oneEngine() {
        let statement = Statement(
            "test.one",
            .reads,
            ["a": .text, "b": .text],
            postgres: "SELECT :a",
            sqlite: "SELECT :a, :b"
        )
        #expect(statement.fault == nil)
    }

    @Test("values are bound by their names, in any order")
    func binding() throws {
        let statement = Statement("test.binding", .reads, ["a": .text, "b": .integer], "SELECT :a, :b")
        let expected: [SQLValue] = [.text("x"), .integer(1)]
        #expect(statement.bind(["a": "x", "b": 1]).values == expected)
        let reversed = statement.bind(["b": 1, "a": "x"])
        try reversed.validate()
        #expect(reversed.values == expected)
    }

    @Test("lists of parameters and of values are joined in their order")
    func joined() throws {
        let common: StatementParameters = ["a": .text]
        let statement = Statement("test.joined", .reads, common + ["b": .integer], "SELECT :b, :a")
        #expect(statement.text(for: .postgres) == "SELECT $2, $1")
        let values: StatementValues = ["a": "x"]
        let bound = statement.bind(values + ["b": 1])
        try bound.validate()
        #expect(bound.values == [.text("x"), .integer(1)])
        #expect(statement.bind(StatementValues([("a", "x"), ("b", 1)])).values == bound.values)
    }

    @Test("a value that is missing, unknown, given twice or too many is refused before anything is sent")
    func wrongBinding() {
        let statement = Statement("test.wrong", .reads, ["a": .text, "b": .integer], "SELECT :a, :b")
        let wrong: [StatementValues] = [
            ["a": "x"], ["a": "x", "c": 1], ["a": "x", "a": "y"], ["a": "x", "b": 1, "c": 2], [:],
            ["a": "x", "b": "y"],
        ]
        for values in wrong {
            #expect(throws: StorageError.self, "\(values)") { try statement.bind(values).validate() }
        }
    }

    @Test("no statement of either service has a fault")
    func services() {
        let statements = AuthService.allStatements + ChatService.allStatements
        #expect(statements.count > 200)
        for statement in statements { #expect(statement.fault == nil, "\(statement.name)") }
    }
}
