// Parameters, results and errors of single statements.

import Storage
import Testing

extension StorageConformance {
    static let statementCases: [ConformanceCase] = [
        ConformanceCase("parameters may be reused and come in any order") { subject async throws in
            let statement = Statement(
                "statements.order",
                .reads,
                [.text, .text, .integer],
                "SELECT CAST($2 AS TEXT) AS a, CAST($1 AS TEXT) AS b, CAST($2 AS TEXT) AS c, $3 + $3 AS d"
            )
            let row = try #require(try await subject.database.run(statement("one", "two", 21)).first)
            #expect(try [row.text("a"), row.text("b"), row.text("c")] == ["two", "one", "two"])
            #expect(try row.integer("d") == 42)
        },
        ConformanceCase("more than nine parameters are told apart") { subject async throws in
            let statement = Statement(
                "statements.twelve",
                .reads,
                Array(repeating: .integer, count: 12),
                "SELECT $12 - $1 AS a, $10 * 1 AS b, $11 * 1 AS c"
            )
            let bound = BoundStatement(statement, (1...12).map { .integer($0) })
            let row = try #require(try await subject.database.run(bound).first)
            #expect(try [row.integer("a"), row.integer("b"), row.integer("c")] == [11, 10, 11])
        },
        ConformanceCase("a wrong number or type of values is refused before anything is sent") { subject async throws in
            for bound in [
                Fixtures.insertParent("p", "p"), Fixtures.insertParent("p", "p", "zero"),
                Fixtures.insertParent("p", 1, 0),
            ] {
                let error = await storageError { _ = try await subject.database.run(bound) }
                guard case .invalidBinding = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
        },
        ConformanceCase("RETURNING gives the new values, and affected counts its rows") { subject async throws in
            _ = try await subject.database.run(Fixtures.insertParent("p", "p", 1))
            let changed = try await subject.database.run(Fixtures.add("p", 4))
            #expect(try changed.first?.integer("count") == 5)
            #expect(changed.affected == 1)
            let missed = try await subject.database.run(Fixtures.add("nobody", 4))
            #expect(missed.isEmpty)
            #expect(missed.affected == 0)
        },
        ConformanceCase("string_agg joins the texts of a group, and nothing is NULL") { subject async throws in
            let join = Statement(
                "statements.join",
                .reads,
                [.text],
                "SELECT string_agg(name, '/') AS names FROM parents WHERE id >= $1"
            )
            let database = subject.database
            #expect(try await database.run(join("")).first?.optionalText("names") == nil)
            for name in ["a", "b", "ü"] { _ = try await database.run(Fixtures.insertParent(name, name, 0)) }
            let names = try #require(try await database.run(join("")).first).text("names")
            #expect(names.split(separator: "/").sorted() == ["a", "b", "ü"])
        },
        ConformanceCase("affected counts the rows of an insert, an update and a delete without RETURNING") {
            subject async throws in
            let database = subject.database
            #expect(try await database.run(Fixtures.insertParent("a", "a", 0)).affected == 1)
            _ = try await database.run(Fixtures.insertParent("b", "b", 0))
            let update = Statement("statements.update", .writes, [.integer], "UPDATE parents SET count = $1")
            #expect(try await database.run(update(3)).affected == 2)
            let delete = Statement("statements.delete", .writes, [.text], "DELETE FROM parents WHERE id > $1")
            #expect(try await database.run(delete("z")).affected == 0)
            #expect(try await database.run(delete("")).affected == 2)
        },
        ConformanceCase("ON CONFLICT DO NOTHING is zero rows and no error") { subject async throws in
            let insert = Statement(
                "statements.insert_or_nothing",
                .writes,
                [.text, .text],
                "INSERT INTO parents (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING id"
            )
            #expect(try await subject.database.run(insert("a", "same")).affected == 1)
            let second = try await subject.database.run(insert("b", "same"))
            #expect(second.isEmpty)
            #expect(second.affected == 0)
        },
        ConformanceCase("each kind of constraint has its own error, which names the statement") {
            subject async throws in
            let database = subject.database
            _ = try await database.run(Fixtures.insertParent("p", "taken", 0))
            let attempts: [(BoundStatement, StorageError)] = [
                (Fixtures.insertParent("p", "free", 0), .uniqueViolation(statement: "fixtures.insert_parent")),
                (Fixtures.insertParent("q", "taken", 0), .uniqueViolation(statement: "fixtures.insert_parent")),
                (Fixtures.insertChild("c", "nobody"), .foreignKeyViolation(statement: "fixtures.insert_child")),
                (Fixtures.insertParent("q", nil as String?, 0), .notNullViolation(statement: "fixtures.insert_parent")),
                (Fixtures.insertParent("q", "q", -1), .checkViolation(statement: "fixtures.insert_parent")),
            ]
            for (bound, expected) in attempts {
                #expect(await storageError { _ = try await database.run(bound) } == expected)
            }
            try await expectRows(1, in: "parents", of: database)
        },
        ConformanceCase("a mistake in the SQL is an error of its statement, and the next one works") {
            subject async throws in
            let broken = Statement("statements.broken", .reads, [], "SELECT nothing_here FROM parents")
            let error = await storageError { _ = try await subject.database.run(broken()) }
            guard case .statementFailed(statement: "statements.broken", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let parents = try await subject.database.run(Fixtures.parents())
            #expect(parents.isEmpty)
        },
        ConformanceCase("a statement declared to read cannot write") { subject async throws in
            let lying = Statement("statements.lying", .reads, [], "INSERT INTO parents (id, name) VALUES ('x', 'x')")
            let error = await storageError { _ = try await subject.database.run(lying()) }
            guard case .statementFailed = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await expectRows(0, in: "parents", of: subject.database)
        },
        ConformanceCase("deleting a parent deletes its children") { subject async throws in
            let delete = Statement("statements.delete_parent", .writes, [.text], "DELETE FROM parents WHERE id = $1")
            let database = subject.database
            _ = try await database.run([
                Fixtures.insertParent("p", "p", 0), Fixtures.insertChild("c", "p"), delete("p"),
            ])
            try await expectRows(0, in: "children", of: database)
        },
    ]
}
