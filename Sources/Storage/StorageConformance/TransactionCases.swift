// Transactions commit whole or not at all, and the failure of one does not affect others in its batch.

import Storage
import Testing

extension StorageConformance {
    static let transactionCases: [ConformanceCase] = [
        ConformanceCase("an empty unit has no results") { subject async throws in
            let results = try await subject.database.run(Transaction())
            #expect(results.all.isEmpty)
        },
        ConformanceCase("results come in the order of the statements, each seeing what came before") {
            subject async throws in
            var transaction = Transaction()
            transaction.add(Fixtures.insertParent("p", name: "p", count: 1))
            let first = transaction.add(Fixtures.add(1, to: "p"))
            let between = transaction.add(Fixtures.parents())
            let second = transaction.add(Fixtures.add(1, to: "p"))
            let results = try await subject.database.run(transaction)
            #expect(results.all.count == 4)
            #expect(try results[first].first?.int("count") == 2)
            #expect(try results[between].first?.int("count") == 2)
            #expect(try results[second].first?.int("count") == 3)
        },
        ConformanceCase("a unit that fails at its last statement leaves nothing") { subject async throws in
            let error = await storageError {
                _ = try await subject.database.run(
                    Transaction([
                        Fixtures.insertParent("a", name: "a", count: 0), Fixtures.insertChild("c", of: "a"),
                        Fixtures.insertParent("b", name: "b", count: -1),
                    ])
                )
            }
            #expect(error == .checkViolation(statement: "fixtures.insert_parent"))
            try await expectRows(0, in: "parents", of: subject.database)
            try await expectRows(0, in: "children", of: subject.database)
        },
        ConformanceCase("a deferred constraint fails its unit at the commit, and only its unit") {
            subject async throws in
            let database = subject.database
            let kept = [
                Fixtures.insertPromise("kept", of: "late"), Fixtures.insertParent("late", name: "late", count: 0),
            ]
            let broken = [
                Fixtures.insertParent("half", name: "half", count: 0), Fixtures.insertPromise("broken", of: "nobody"),
            ]
            let errors = await withTaskGroup(of: StorageError?.self) { group in
                for transaction in [kept, broken] {
                    group.addTask {
                        do throws(StorageError) {
                            _ = try await database.run(Transaction(transaction))
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                return await group.reduce(into: [StorageError]()) { if let error = $1 { $0.append(error) } }
            }
            guard errors.count == 1, case .foreignKeyViolation = errors[0] else {
                Issue.record("\(errors)")
                return
            }
            #expect(try await database.run(Fixtures.parents()).rows.map { try $0.text("id") } == ["late"])
        },
        ConformanceCase("of 32 units that arrive together one fails alone and 31 apply once") { subject async throws in
            let database = subject.database
            _ = try await database.run(
                Transaction((0..<32).map { Fixtures.insertParent("p\($0)", name: "p\($0)", count: 0) })
            )
            let failed = await withTaskGroup(of: Int?.self) { group in
                for index in 0..<32 {
                    group.addTask {
                        do throws(StorageError) {
                            _ = try await database.run(
                                Transaction([
                                    Fixtures.add(1, to: "p\(index)"),
                                    Fixtures.add(index == 17 ? -5 : 1, to: "p\(index)"),
                                ])
                            )
                            return nil
                        } catch {
                            #expect(error == .checkViolation(statement: "fixtures.add"))
                            return index
                        }
                    }
                }
                return await group.reduce(into: [Int]()) { if let index = $1 { $0.append(index) } }
            }
            #expect(failed == [17])
            let counts = try await database.run(Fixtures.parents()).rows.map {
                (try $0.text("id"), try $0.int("count"))
            }
            #expect(counts.count == 32)
            for (id, count) in counts { #expect(count == (id == "p17" ? 0 : 2), "\(id)") }
        },
        ConformanceCase("a transaction commits what its body did and returns its value") { subject async throws in
            let value = try await subject.database.holdingTransaction { transaction in
                try transaction.run(Fixtures.insertParent("p", name: "p", count: 1))
                return try transaction.run(Fixtures.add(1, to: "p")).first?.int("count")
            }
            #expect(value == 2)
            #expect(try await subject.database.run(Fixtures.parents()).first?.int("count") == 2)
        },
        ConformanceCase("a transaction whose body throws leaves nothing and rethrows") { subject async throws in
            struct Refusal: Error, Equatable {}
            await #expect(throws: Refusal()) {
                try await subject.database.holdingTransaction { transaction in
                    try transaction.run(Fixtures.insertParent("p", name: "p", count: 1))
                    throw Refusal()
                }
            }
            try await expectRows(0, in: "parents", of: subject.database)
        },
        ConformanceCase("a transaction in which a statement failed cannot commit") { subject async throws in
            let error = await storageError {
                try await subject.database.holdingTransaction { transaction in
                    try transaction.run(Fixtures.insertParent("p", name: "p", count: 1))
                    _ = try? transaction.run(Fixtures.insertParent("q", name: "q", count: -1))
                    _ = try? transaction.run(Fixtures.insertParent("r", name: "r", count: 1))
                }
            }
            #expect(error == .checkViolation(statement: "fixtures.insert_parent"))
            try await expectRows(0, in: "parents", of: subject.database)
        },
        ConformanceCase("a long unit commits like any other") { subject async throws in
            _ = try await subject.database.run(Fixtures.insertParent("p", name: "p", count: 1), priority: .long)
            #expect(try await subject.database.run(Fixtures.parents()).affected == 1)
        },
        ConformanceCase("a closed database is unavailable") { subject async throws in
            try await subject.withAnother { other in
                _ = try await other.run(Fixtures.parents())
                await other.close()
                for bound in [Fixtures.parents(), Fixtures.insertParent("p", name: "p", count: 0)] {
                    guard case .unavailable = await storageError({ _ = try await other.run(bound) }) else {
                        Issue.record("\(bound.statement.name) was not refused")
                        return
                    }
                }
            }
        },
    ]
}
