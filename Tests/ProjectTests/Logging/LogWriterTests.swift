import Dispatch
import Foundation
import Storage
import Synchronization
import TestSupport
import Testing

@testable import tessera

@Suite("Log writer")
struct LogWriterTests {
    /// A test that waits this long fails by the time limit of its run.
    private static let never = Duration.seconds(3600)

    private static func writer(
        _ sink: Sink,
        capacity: Int = 1 << 20,
        maxWait: Duration = never,
        gathering: Duration = .zero
    ) -> LogWriter {
        LogWriter(
            limits: .init(capacity: capacity, maxWait: maxWait, gathering: gathering),
            notice: { Array("\($0) dropped".utf8) },
            output: sink.write
        )
    }

    @Test("lines are written in order, whole, and many at a time")
    func batches() {
        let sink = Sink()
        let writer = Self.writer(sink, gathering: Self.never)
        let lines = (0..<1000).map { "line \($0)" }
        for line in lines { writer.write(Array(line.utf8)) }
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == lines)
        #expect(sink.writes.allSatisfy { $0.last == LogQueue.lineFeed && $0.count <= 4096 })
        #expect(sink.writes.count == 3, "8,890 bytes")
    }

    @Test("a line longer than one write stays whole")
    func longLine() {
        let sink = Sink()
        let writer = Self.writer(sink)
        let lines = ["a", String(repeating: "b", count: 10_000), "c"]
        for line in lines { writer.write(Array(line.utf8)) }
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == lines)
        #expect(sink.writes.allSatisfy { $0.last == LogQueue.lineFeed })
    }

    @Test("a warning is written when its call returns, behind what was queued before it")
    func urgent() {
        let sink = Sink()
        let writer = Self.writer(sink, gathering: Self.never)
        writer.write(Array("first".utf8))
        writer.write(Array("second".utf8), isUrgent: true)
        #expect(sink.lines == ["first", "second"])
        writer.write(Array("third".utf8), isUrgent: true)
        #expect(sink.lines == ["first", "second", "third"])
    }

    @Test("while the descriptor takes nothing a line is queued at once")
    func doesNotWait() async throws {
        let sink = Sink()
        let writer = Self.writer(sink)
        try await sink.shut(writer)
        for number in 0..<100 { writer.write(Array("line \(number)".utf8)) }
        #expect(sink.lines.isEmpty)
        sink.open()
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == ["shut"] + (0..<100).map { "line \($0)" })
    }

    @Test("a full queue drops, counts, and says so once where lines are missing when it flows again")
    func full() async throws {
        let sink = Sink()
        let counted = Mutex(0)
        let writer = Self.writer(sink, capacity: 1000, maxWait: .milliseconds(1))
        try await sink.shut(writer)
        // The writer holds 5 bytes, and each line takes 10.
        for number in 100..<300 {
            writer.write(Array("line \(number)!".utf8))
            if number == 250 { writer.onDrop { lines in counted.withLock { $0 += lines } } }
        }
        #expect(writer.dropped == 101)
        #expect(counted.withLock(\.self) == 101, "those from before are counted too")
        sink.open()
        #expect(writer.flush(within: .seconds(30)))
        writer.write(Array("after".utf8))
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == ["shut"] + (100..<199).map { "line \($0)!" } + ["101 dropped", "after"])
        #expect(counted.withLock(\.self) == 101)
    }

    @Test("what was dropped is said at rest too, when no line comes that could carry it")
    func noticeAtRest() async throws {
        let sink = Sink()
        let writer = Self.writer(sink, capacity: 20, maxWait: .milliseconds(1))
        try await sink.shut(writer)
        for _ in 0..<3 { writer.write(Array("0123456789".utf8)) }
        sink.open()
        try await eventually("the notice is written") { sink.lines == ["shut", "0123456789", "2 dropped"] }
    }

    @Test("a full queue that drains in time drops nothing")
    func drainsInTime() async throws {
        let sink = Sink()
        let writer = Self.writer(sink, capacity: 1000)
        try await sink.shut(writer)
        let lines = (1000..<2000).map { "line \($0)" }
        async let filled: Void = OwnThread.run("filler") {
            for line in lines { writer.write(Array(line.utf8)) }
        }
        sink.open()
        try await filled
        #expect(writer.flush(within: .seconds(30)))
        #expect(writer.dropped == 0)
        #expect(sink.lines == ["shut"] + lines)
    }

    @Test("a warning waits for a stuck descriptor once and briefly, and comes in its place when it flows again")
    func stuckUrgent() async throws {
        let sink = Sink()
        let writer = Self.writer(sink, maxWait: .milliseconds(50))
        try await sink.shut(writer)
        let start = ContinuousClock.now
        for number in 0..<1000 { writer.write(Array("line \(number)".utf8), isUrgent: number % 2 == 0) }
        // One after another they would wait 25 s.
        #expect(ContinuousClock.now - start < .seconds(10))
        sink.open()
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == ["shut"] + (0..<1000).map { "line \($0)" })
        // Writing works again, so the next line is waited for.
        writer.write(Array("last".utf8), isUrgent: true)
        #expect(sink.lines.last == "last")
    }

    @Test("a log that is not read costs one wait, not one for each line")
    func stuckFull() async throws {
        let sink = Sink()
        let writer = Self.writer(sink, capacity: 100, maxWait: .milliseconds(50))
        try await sink.shut(writer)
        let start = ContinuousClock.now
        for number in 0..<1000 { writer.write(Array("line \(number)".utf8), isUrgent: number % 2 == 0) }
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(writer.dropped > 900)
        sink.open()
    }

    @Test("the end of the process waits for the log, and not for ever")
    func flush() async throws {
        let sink = Sink()
        let writer = Self.writer(sink, gathering: Self.never)
        #expect(writer.flush(within: Self.never), "nothing is queued")
        try await sink.shut(writer)
        writer.write(Array("line".utf8))
        #expect(!writer.flush(within: .milliseconds(10)))
        sink.open()
        #expect(writer.flush(within: .seconds(30)))
        #expect(sink.lines == ["shut", "line"])
    }

    @Test("lines that the descriptor refuses are counted, and a line that was cut off does not spoil the next one")
    func failing() {
        let sink = Sink()
        let writer = Self.writer(sink)
        let cases: [(room: Int?, text: String)] = [(nil, "a"), (0, "b"), (2, "cut off"), (0, "d"), (nil, "e")]
        for (room, text) in cases {
            sink.room(room)
            writer.write(Array(text.utf8), isUrgent: true)
        }
        #expect(writer.flush(within: .seconds(30)))
        #expect(writer.dropped == 3)
        #expect(sink.lines == ["a", "cu", "e", "3 dropped"])
    }

    @Test("lines of many threads are all there, each thread's in its order")
    func manyThreads() async throws {
        let sink = Sink()
        let writer = Self.writer(sink)
        try await withThrowingTaskGroup { group in
            for thread in 0..<8 {
                group.addTask {
                    try await OwnThread.run("logging") {
                        for number in 0..<500 {
                            writer.write(Array("\(thread) \(number)".utf8), isUrgent: number % 50 == 0)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(writer.flush(within: .seconds(30)))
        for thread in 0..<8 {
            #expect(sink.lines.filter { $0.hasPrefix("\(thread) ") } == (0..<500).map { "\(thread) \($0)" })
        }
    }
}

/// A destination that can block a write or refuse it.
private final class Sink: Sendable {
    private struct State {
        var writes: [[UInt8]] = []
        var isShut = false
        var isEntered = false
        var room: Int?
    }

    private let state = Mutex(State())
    private let gate = DispatchSemaphore(value: 0)

    var writes: [[UInt8]] { state.withLock(\.writes) }

    var lines: [String] {
        writes.joined().split(separator: LogQueue.lineFeed).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes at most so many bytes at a time; `nil` for all.
    func room(_ bytes: Int?) { state.withLock { $0.room = bytes } }

    /// Returns when the writer is blocked with the line `shut`.
    func shut(_ writer: LogWriter) async throws {
        state.withLock { $0.isShut = true }
        writer.write(Array("shut".utf8))
        writer.flush(within: .zero)
        try await eventually("the writer is stuck") { state.withLock(\.isEntered) }
    }

    func open() {
        state.withLock { $0.isShut = false }
        gate.signal()
    }

    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        let isShut = state.withLock { state in
            state.isEntered = state.isShut
            return state.isShut
        }
        if isShut { gate.wait() }
        return state.withLock { state in
            let count = min(bytes.count, state.room ?? bytes.count)
            state.writes.append(Array(bytes.prefix(count)))
            return count
        }
    }
}
