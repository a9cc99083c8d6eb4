import Storage
import TestSupport
import Testing

@Suite("Transactions")
struct TransactionTests {
    private static let echo = Statement("test.echo", .reads, ["value": .text], "SELECT :value AS value")
    private static let pair = Statement(
        "test.pair",
        .reads,
        ["first": .text, "second": .text],
        "SELECT :second AS second, :first AS first"
    )

    @Test("each result is found under its handle", arguments: TestEngine.allCases)
    func handles(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test in
            var transaction = Transaction(subject: "somebody")
            let one = transaction.add(Self.echo.bind(["value": "one"]))
            let others = transaction.add(contentsOf: ["two", "three"].map { Self.echo.bind(["value": $0]) })
            let results = try await test.database.run(transaction)
            #expect(transaction.onlyReads)
            #expect(try results[one].first?.text("value") == "one")
            #expect(try others.map { try results[$0].first?.text("value") } == ["two", "three"])
        }
    }

    @Test(
        "values reach the parameters that they are named for, whatever the text mentions first",
        arguments: TestEngine.allCases
    )
    func namedValues(engine: TestEngine) async throws {
        try await withEmptyDatabase(engine) { test in
            let row = try await test.database.run(Self.pair.bind(["second": "2", "first": "1"])).first
            #expect(try row?.text("first") == "1")
            #expect(try row?.text("second") == "2")
        }
    }
}
