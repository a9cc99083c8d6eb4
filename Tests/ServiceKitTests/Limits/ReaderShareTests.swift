// How many reads of one owner run beside each other.
import Storage
import Synchronization
import TestSupport
import Testing

@testable import ServiceKit

@Suite("Shares of the readers")
struct ReaderShareTests {
    /// Reads that stay until they are released.
    private final class Reads: Sendable {
        private let state = Mutex<(running: Int, most: Int, gates: [CheckedContinuation<Void, Never>])>((0, 0, []))

        var running: Int { state.withLock { $0.running } }
        var most: Int { state.withLock { $0.most } }

        func stay() async {
            await withCheckedContinuation { continuation in
                state.withLock { state in
                    state.running += 1
                    state.most = max(state.most, state.running)
                    state.gates.append(continuation)
                }
            }
        }

        func letGo(_ count: Int = .max) {
            let gates = state.withLock { state in
                let gates = Array(state.gates.prefix(count))
                state.gates.removeFirst(gates.count)
                state.running -= gates.count
                return gates
            }
            for gate in gates { gate.resume() }
        }
    }

    @Test("an owner's reads beyond the share wait, and another owner's do not")
    func share() async throws {
        let shares = ReaderShares(share: 2, maxWidth: 2, maxWait: .seconds(3600))
        let (hers, his) = (Reads(), Reads())
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<10 { group.addTask { try await shares.run(of: "ada") { await hers.stay() } } }
            try await eventually("two of hers run") { hers.running == 2 }
            group.addTask { try await shares.run(of: "alan") { await his.stay() } }
            try await eventually("his runs") { his.running == 1 }
            his.letGo()
            for left in stride(from: 9, through: 0, by: -1) {
                hers.letGo(1)
                try await eventually("the next one runs") { hers.running == min(2, left) }
            }
            try await group.waitForAll()
        }
        #expect(hers.most == 2)
        #expect(shares.ownerCount == 0)
    }

    @Test("an owner whose reads are quick gets more at a time, and fewer again when they are slow")
    func pace() {
        let shares = ReaderShares(share: 2, maxWidth: 4)
        // How many run beside one that stays.
        func width() -> Int {
            let count = (0..<10).count { _ in shares.enter("ada") }
            for _ in 0..<count { shares.leave("ada", after: .milliseconds(10)) }
            return count + 1
        }
        #expect(shares.enter("ada"))
        #expect(width() == 2)
        for expected in [3, 4, 4] {
            #expect(shares.enter("ada"))
            shares.leave("ada", after: .milliseconds(1))
            #expect(width() == expected)
        }
        #expect(shares.enter("ada"))
        shares.leave("ada", after: .milliseconds(50))
        #expect(width() == 2)
        #expect(shares.enter("ada"))
        shares.leave("ada", after: .milliseconds(50))
        #expect(width() == 2)
        shares.leave("ada", after: .zero)
        #expect(shares.ownerCount == 0)
    }

    @Test("one that waits too long, is cancelled, or finds the line full is refused")
    func refused() async throws {
        let impatient = ReaderShares(share: 1, maxWidth: 1, maxWait: .milliseconds(20))
        #expect(impatient.enter("ada"))
        await #expect(throws: StorageError.overloaded) { try await impatient.run(of: "ada") {} }
        let shares = ReaderShares(share: 1, maxWidth: 1, maxWaiting: 1, maxWait: .seconds(3600))
        #expect(shares.enter("ada"))
        let waiting = Task { try await shares.run(of: "ada") {} }
        try await eventually("it waits") { shares.waitingCount == 1 }
        await #expect(throws: StorageError.overloaded) { try await shares.run(of: "ada") {} }
        waiting.cancel()
        await #expect(throws: StorageError.overloaded) { try await waiting.value }
        for shares in [impatient, shares] {
            shares.leave("ada", after: .zero)
            #expect(shares.ownerCount == 0)
        }
    }
}
