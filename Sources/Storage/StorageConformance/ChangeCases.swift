// A follower of a log is woken when the log grows, whichever handle or process added to it.
//
// A hint comes every second in any case. So these cases append right after one: what comes long before the next is due
// was noticed.

import Storage
import Testing

extension StorageConformance {
    static let changeCases: [ConformanceCase] = [
        ConformanceCase("a follower of a log is woken by its own handle's append") { subject async throws in
            try await expectWaking(subject.database, by: subject.database)
        },
        ConformanceCase("a follower of a log is woken by another process's append") { subject async throws in
            try await subject.withAnother { try await expectWaking(subject.database, by: $0) }
        },
        ConformanceCase("a follower of a log is woken though nothing was noticed, every second") {
            subject async throws in
            var hints = subject.database.changes(of: Fixtures.log).makeAsyncIterator()
            for _ in 0..<4 { #expect(await hints.next() != nil) }
        },
        ConformanceCase("who follows after the last follower left is woken again") { subject async throws in
            for _ in 0..<3 {
                var hints = subject.database.changes(of: Fixtures.log).makeAsyncIterator()
                #expect(await hints.next() != nil)
            }
            try await expectWaking(subject.database, by: subject.database)
        },
        ConformanceCase("a log is followed to the end of its database and no longer") { subject async throws in
            try await subject.withAnother { other in
                var hints = other.changes(of: Fixtures.log).makeAsyncIterator()
                #expect(await hints.next() != nil)
                await other.close()
                while await hints.next() != nil {}
                var later = other.changes(of: Fixtures.log).makeAsyncIterator()
                #expect(await later.next() == nil)
            }
        },
    ]

    private static func expectWaking(
        _ database: any SQLDatabase,
        by writer: any SQLDatabase,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        var hints = database.changes(of: Fixtures.log).makeAsyncIterator()
        var waits: [Duration] = []
        for index in 0..<7 {
            _ = await hints.next()
            _ = try await writer.run(Fixtures.append("writer \(index)"))
            let start = ContinuousClock.now
            _ = await hints.next()
            waits.append(start.duration(to: .now))
        }
        // Half of the time to the next hint; the median, since the machine may be busy.
        #expect(waits.sorted()[3] < LogChanges.interval / 2, "\(waits)", sourceLocation: sourceLocation)
    }
}
