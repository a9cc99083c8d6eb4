// How many exports there may be at a time, and what becomes of one whose reader takes next to nothing.
//
// An export costs memory for as long as it goes on, and its reader decides how long that is. So there are few places on a
// node and fewer for one person, and who lets it wait for too long at a stretch of 1 MiB loses theirs. Time in which rows
// are read is not the reader's.
import NIOCore
import Synchronization

/// Bounds and times of exports.
package struct ExportLimits: Sendable {
    /// Of one person on one node.
    package var perUser = 2
    /// Of one node.
    package var perNode = 16
    /// How long an export may wait for its reader, again and again after each so many bytes.
    package var stall: Duration = .seconds(30)
    package var stretch = 1 << 20
    /// How often it is looked who takes too little, and who would not be let in any more.
    package var look: Duration = .seconds(1)

    package init() {}
}

final class ExportPlaces: Sendable {
    let limits: ExportLimits
    private let taken = Mutex<(all: Int, ofUser: [String: Int])>((0, [:]))

    init(limits: ExportLimits) { self.limits = limits }

    /// A place for one more export; `nil` when there is none.
    func take(_ principal: String) -> ExportPlace? {
        let isFree = taken.withLock { taken in
            guard taken.all < limits.perNode, taken.ofUser[principal, default: 0] < limits.perUser else { return false }
            taken.all += 1
            taken.ofUser[principal, default: 0] += 1
            return true
        }
        return isFree ? ExportPlace(self, principal) : nil
    }

    fileprivate func giveBack(_ principal: String) {
        taken.withLock { taken in
            taken.all -= 1
            let left = taken.ofUser[principal, default: 1] - 1
            taken.ofUser[principal] = left > 0 ? left : nil
        }
    }
}

/// How long an export has waited for its reader, and what was taken meanwhile.
struct ReaderPace: Sendable {
    /// Bytes after which it begins anew.
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

    /// Within the stretch that it is at.
    func wait(at now: ContinuousClock.Instant = .now) -> Duration {
        waited + (writingSince.map { now - $0 } ?? .zero)
    }
}

/// One export's place, which ends with its export or with the answer that never came to it (a HEAD, a closed connection).
final class ExportPlace: Sendable {
    private let places: ExportPlaces
    private let principal: String
    private let state: Mutex<(isLeft: Bool, pace: ReaderPace)>

    fileprivate init(_ places: ExportPlaces, _ principal: String) {
        self.places = places
        self.principal = principal
        state = Mutex((false, ReaderPace(stretch: places.limits.stretch)))
    }

    deinit { leave() }

    func leave() {
        let isFirst = state.withLock { state in
            defer { state.isLeft = true }
            return !state.isLeft
        }
        if isFirst { places.giveBack(principal) }
    }

    /// Around each write, to tell a reader that takes little from an export that is being read from the database.
    func writeBegins() { state.withLock { $0.pace.writeBegins() } }
    func writeEnded(_ count: Int) { state.withLock { $0.pace.writeEnded(count) } }

    /// Ends the connection when its reader takes too little for too long, or would not be let in any more. Ends with its task.
    func watch(_ channel: any Channel, isAdmitted: @Sendable () -> Bool) async {
        let limits = places.limits
        while (try? await Task.sleep(for: limits.look)) != nil {
            let isStuck = state.withLock { $0.pace.wait() >= limits.stall }
            // A write waits for its reader and hears nothing else.
            if isStuck || !isAdmitted() { return channel.close(promise: nil) }
        }
    }
}
