// How many exports there may be at a time, and what becomes of one whose reader takes nothing.
//
// An export costs memory for as long as it goes on, and its reader decides how long that is. So there are few places on a
// node and fewer for one person, and who takes nothing for a while loses theirs.
import NIOCore
import Synchronization

/// Bounds and times of exports.
package struct ExportLimits: Sendable {
    /// Of one person on one node.
    package var perUser = 2
    /// Of one node.
    package var perNode = 16
    /// How long a reader may take nothing.
    package var stall: Duration = .seconds(30)
    /// How often it is looked who takes nothing, and who would not be let in any more.
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

/// One export's place, which ends with its export or with the answer that never came to it (a HEAD, a closed connection).
final class ExportPlace: Sendable {
    private let places: ExportPlaces
    private let principal: String
    private let state = Mutex<(isLeft: Bool, writingSince: ContinuousClock.Instant?)>((false, nil))

    fileprivate init(_ places: ExportPlaces, _ principal: String) {
        self.places = places
        self.principal = principal
    }

    deinit { leave() }

    func leave() {
        let isFirst = state.withLock { state in
            defer { state.isLeft = true }
            return !state.isLeft
        }
        if isFirst { places.giveBack(principal) }
    }

    /// Around each write, to tell a reader that takes nothing from an export that is being read from the database.
    func writeBegins() { state.withLock { $0.writingSince = .now } }
    func writeEnded() { state.withLock { $0.writingSince = nil } }

    /// Ends the connection when its reader takes nothing for too long, or would not be let in any more. Ends with its task.
    func watch(_ channel: any Channel, isAdmitted: @Sendable () -> Bool) async {
        let limits = places.limits
        while (try? await Task.sleep(for: limits.look)) != nil {
            let isStuck = state.withLock { state in
                state.writingSince.map { $0 + limits.stall <= .now } ?? false
            }
            // A write waits for its reader and hears nothing else.
            if isStuck || !isAdmitted() { return channel.close(promise: nil) }
        }
    }
}
