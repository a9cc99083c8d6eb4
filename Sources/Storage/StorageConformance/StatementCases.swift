// Parameters, results and errors of single statements.

import Storage
import Testing

extension StorageConformance {
    static let statementCases: [ConformanceCase] = [
        ConformanceCase("parameters may be reused and come in any order") { subject async throws in
            let statement = Statement(
                "statements.order",
                .reads,
                ["first": .text, "second": .text, "number": .integer],
                """
                SELECT CAST(:second AS TEXT) AS a, CAST(:first AS TEXT) AS b, CAST(:second AS TEXT) AS c,
                    :number + :number AS d
                """
            )
            let row = try #require(
                try await subject.database.run(statement.bind(["first": "one", "second": "two", "number": 21])).first
            )
            #expect(try [row.text("a"), row.text("b"), row.text("c")] == ["two", "one", "two"])
            #expect(try row.integer("d") == 42)
        },
        ConformanceCase("more than nine parameters are told apart") { subject async throws in
            let statement = Statement(
                "statements.twelve",
                .reads,
                StatementParameters((1...12).map { ("n\($0)", .integer) }),
                """
                SELECT :n12 - :n1 AS a, :n10 * 1 AS b, :n11 * 1 AS c
                WHERE :n2 < :n3 AND :n4 < :n5 AND :n6 < :n7 AND :n8 < :n9
                """
            )
            let values = StatementValues((1...12).map { ("n\($0)", $0) })
            let row = try #require(try await subject.database.run(statement.bind(values)).first)
            #expect(try [row.integer("a"), row.integer("b"), row.integer("c")] == [11, 10, 11])
        },
        ConformanceCase("a wrong number or type of values is refused before anything is sent") { subject async throws in
            let wrong: [StatementValues] = [
                ["id": "p", "name": "p"], ["id": "p", "name": "p", "count": "zero"],
                ["id": "p", "name": 1, "count": 0], ["id": "p", "name": "p", "count": 0, "more": 0],
            ]
            for values in wrong {
                let bound = Fixtures.parentInsertion.bind(values)
                let error = await storageError { _ = try await subject.database.run(bound) }
                guard case .invalidBinding = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
            }
        },
        ConformanceCase("RETURNING gives the new values, and affected counts its rows") { subject async throws in
            _ = try await subject.database.run(Fixtures.insertParent("p", name: "p", count: 1))
            let changed = try await subject.database.run(Fixtures.add(4, to: "p"))
            #expect(try changed.first?.integer("count") == 5)
            #expect(changed.affected == 1)
            let missed = try await subject.database.run(Fixtures.add(4, to: "nobody"))
            #expect(missed.isEmpty)
            #expect(missed.affected == 0)
        },
        ConformanceCase("string_agg joins the texts of a group, and nothing is NULL") { subject async throws in
            let join = Statement(
                "statements.join",
                .reads,
                ["id": .text],
                "SELECT string_agg(name, '/') AS names FROM parents WHERE id >= :id"
            )
            let database = subject.database
            #expect(try await database.run(join.bind(["id": ""])).first?.optionalText("names") == nil)
            for name in ["a", "b", "ü"] {
                _ = try await database.run(Fixtures.insertParent(name, name: name, count: 0))
            }
            let names = try #require(try await database.run(join.bind(["id": ""])).first).text("names")
            #expect(names.split(separator: "/").sorted() == ["a", "b", "ü"])
        },
        ConformanceCase("affected counts the rows of an insert, an update and a delete without RETURNING") {
            subject async throws in
            let database = subject.database
            #expect(try await database.run(Fixtures.insertParent("a", name: "a", count: 0)).affected == 1)
            _ = try await database.run(Fixtures.insertParent("b", name: "b", count: 0))
            let update = Statement(
                "statements.update",
                .writes,
                ["count": .integer],
                "UPDATE parents SET count = :count"
            )
            #expect(try await database.run(update.bind(["count": 3])).affected == 2)
            let delete = Statement("statements.delete", .writes, ["id": .text], "DELETE FROM parents WHERE id > :id")
            #expect(try await database.run(delete.bind(["id": "z"])).affected == 0)
            #expect(try await database.run(delete.bind(["id": ""])).affected == 2)
        },
        ConformanceCase("ON CONFLICT DO NOTHING is zero rows and no error") { subject async throws in
            let insert = Statement(
                "statements.insert_or_nothing",
                .writes,
                ["id": .text, "name": .text],
                "INSERT INTO parents (id, name) VALUES (:id, :name) ON CONFLICT DO NOTHING RETURNING id"
            )
            #expect(try await subject.database.run(insert.bind(["id": "a", "name": "same"])).affected == 1)
            let second = try await subject.database.run(insert.bind(["id": "b", "name": "same"]))
            #expect(second.isEmpty)
            #expect(second.affected == 0)
        },
        ConformanceCase("each kind of constraint has its own error, which names the statement") {
            subject async throws in
            let database = subject.database
            _ = try await database.run(Fixtures.insertParent("p", name: "taken", count: 0))
            let attempts: [(BoundStatement, StorageError)] = [
                (
                    Fixtures.insertParent("p", name: "free", count: 0),
                    .uniqueViolation(statement: "fixtures.insert_parent")
                ),
                (
                    Fixtures.insertParent("q", name: "taken", count: 0),
                    .uniqueViolation(statement: "fixtures.insert_parent")
                ),
                (Fixtures.insertChild("c", of: "nobody"), .foreignKeyViolation(statement: "fixtures.insert_child")),
                (
                    Fixtures.insertParent("q", name: nil, count: 0),
                    .notNullViolation(statement: "fixtures.insert_parent")
                ),
                (
                    Fixtures.insertParent("q", name: "q", count: -1),
                    .checkViolation(statement: "fixtures.insert_parent")
                ),
            ]
            for (bound, expected) in attempts {
                #expect(await storageError { _ = try await database.run(bound) } == expected)
            }
            try await expectRows(1, in: "parents", of: database)
        },
        ConformanceCase("a mistake in the SQL is an error of its statement, and the next one works") {
            subject async throws in
            let broken = Statement("statements.broken", .reads, "SELECT nothing_here FROM parents")
            let error = await storageError { _ = try await subject.database.run(broken.bind()) }
            guard case .statementFailed(statement: "statements.broken", _) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            let parents = try await subject.database.run(Fixtures.parents())
            #expect(parents.isEmpty)
        },
        ConformanceCase("a statement declared to read cannot write") { subject async throws in
            let lying = Statement("statements.lying", .reads, "INSERT INTO parents (id, name) VALUES ('x', 'x')")
            let error = await storageError { _ = try await subject.database.run(lying.bind()) }
            guard case .statementFailed = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            try await expectRows(0, in: "parents", of: subject.database)
        },
        ConformanceCase("deleting a parent deletes its children") { subject async throws in
            let delete = Statement(
                "statements.delete_parent",
                .writes,
                ["id": .text],
                "DELETE FROM parents WHERE id = :id"
            )
            let database = subject.database
            _ = try await database.run(
                Transaction([
                    Fixtures.insertParent("p", name: "p", count: 0), Fixtures.insertChild("c", of: "p"),
                    delete.bind(["id": "p"]),
                ])
            )
            try await expectRows(0, in: "children", of: database)
        },
    ]
}
