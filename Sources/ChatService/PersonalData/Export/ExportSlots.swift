// Limits concurrent exports, and ends one whose reader is too slow.
//
// An export uses memory for as long as its reader takes. So a node has few slots and a person fewer. A reader that
// makes an export wait too long within 1 MiB loses the slot. Time for reading rows does not count.
import NIOCore
import Synchronization

package struct ExportLimits: Sendable {
    package var perUser = 2
    package var perNode = 16
    /// How long an export may wait for its reader, within each `stretch` of bytes.
    package var writeTimeout: Duration = .seconds(30)
    package var stretch = 1 << 20
    /// How often readers and tokens are checked.
    package var tick: Duration = .seconds(1)

    package init() {}
}

final class ExportSlots: Sendable {
    let limits: ExportLimits
    private let taken = Mutex<(all: Int, ofUser: [String: Int])>((0, [:]))

    init(limits: ExportLimits) { self.limits = limits }

    /// A slot for an export; `nil` if there is none.
    func take(_ principal: String) -> ExportSlot? {
        let isFree = taken.withLock { taken in
            guard taken.all < limits.perNode, taken.ofUser[principal, default: 0] < limits.perUser else { return false }
            taken.all += 1
            taken.ofUser[principal, default: 0] += 1
            return true
        }
        return isFree ? ExportSlot(self, principal) : nil
    }

    fileprivate func giveBack(_ principal: String) {
        taken.withLock { taken in
            taken.all -= 1
            let left = taken.ofUser[principal, default: 1] - 1
            taken.ofUser[principal] = left > 0 ? left : nil
        }
    }
}

/// How long an export has waited for its reader, and how much was read meanwhile.
struct StallDetector: Sendable {
    /// Bytes after which the wait restarts.
    let stretch: Int
    private var writingSince: ContinuousClock.Instant?
    private var waited: Duration = .zero
    private var bytes = 0

    init(stretch: Int) { self.stretch = stretch }

    mutating func writeBegins(at now: ContinuousClock.Instant = .now) { writingSince = now }

    mutating func writeEnded(_ count: Int, at now: ContinuousClock.Instant = .now) {
        waited = wait(at: now)
        writingSince = nil
        bytes += count
        guard bytes >= stretch else { return }
        bytes = 0
        waited = .zero
    }

    func wait(at now: ContinuousClock.Instant = .now) -> Duration {
        waited + (writingSince.map { now - $0 } ?? .zero)
    }
}

/// One export's slot, which ends with its export, or with an answer that is never written (a HEAD, a closed
/// connection).
final class ExportSlot: Sendable {
    private let slots: ExportSlots
    private let principal: String
    private let state: Mutex<(isLeft: Bool, stallDetector: StallDetector)>

    fileprivate init(_ slots: ExportSlots, _ principal: String) {
        self.slots = slots
        self.principal = principal
        state = Mutex((false, StallDetector(stretch: slots.limits.stretch)))
    }

    deinit { leave() }

    func leave() {
        let isFirst = state.withLock { state in
            defer { state.isLeft = true }
            return !state.isLeft
        }
        if isFirst { slots.giveBack(principal) }
    }

    /// Around each write, to distinguish a slow reader from reads of the database.
    func writeBegins() { state.withLock { $0.stallDetector.writeBegins() } }
    func writeEnded(_ count: Int) { state.withLock { $0.stallDetector.writeEnded(count) } }

    /// Closes the connection of a slow reader, or if the token is no longer valid. Ends with its task.
    func watch(_ channel: any Channel, isAuthorized: @Sendable () -> Bool) async {
        let limits = slots.limits
        while (try? await Task.sleep(for: limits.tick)) != nil {
            let isStuck = state.withLock { $0.stallDetector.wait() >= limits.writeTimeout }
            // A write that waits for its reader receives no signal.
            if isStuck || !isAuthorized() { return channel.close(promise: nil) }
        }
    }
}
