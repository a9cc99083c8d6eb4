// How long each test file has a database, a cluster or a program open. Swift Testing's own durations include the wait
// for one of the places that TEST_WIDTH allows, so a short test near the end of the queue looks slow.
//
// `scripts/summarise-tests` names the file and adds the lines up; without `TESSERA_TEST_TIMES` nothing is measured.
internal import Foundation
internal import Synchronization
internal import Testing

package final class TestTimes: Sendable {
    private struct State {
        var held: [String: (count: Int, since: ContinuousClock.Instant)] = [:]
        var output: FileHandle?
    }

    private static let state = Mutex(State(output: openOutput()))

    private let file: String?
    private let hasEnded = Mutex(false)

    package init() {
        file = Test.current?.sourceLocation.fileID
        guard let file else { return }
        Self.state.withLock { state in
            let (count, since) = state.held[file] ?? (0, .now)
            state.held[file] = (count + 1, since)
        }
    }

    deinit { end() }

    package func end() {
        guard let file,
            !hasEnded.withLock({ ended in
                defer { ended = true }; return ended
            })
        else { return }
        Self.state.withLock { state in
            guard let (count, since) = state.held[file] else { return }
            guard count == 1 else {
                state.held[file] = (count - 1, since)
                return
            }
            state.held[file] = nil
            let seconds = since.duration(to: .now) / .seconds(1)
            try? state.output?.write(contentsOf: Data("\(seconds) \(file)\n".utf8))
        }
    }

    private static func openOutput() -> FileHandle? {
        guard let path = ProcessInfo.processInfo.environment["TESSERA_TEST_TIMES"], !path.isEmpty else { return nil }
        _ = FileManager.default.createFile(atPath: path, contents: nil)
        return FileHandle(forWritingAtPath: path)
    }
}
