import Foundation
import Glibc
import Storage
import TestSupport
import Testing

@testable import tessera

@Suite("Log descriptor")
struct LogDescriptorTests {
    private static func writer(_ descriptor: Int32) -> LogWriter {
        LogWriter(
            limits: .init(maxWait: .seconds(30)),
            notice: { Array("\($0) dropped".utf8) },
            output: LogDescriptor(number: descriptor).write
        )
    }

    @Test("a warning is in the pipe when its call returns")
    func warning() throws {
        let pipe = try TestPipe()
        let writer = Self.writer(pipe.writeEnd)
        writer.write(Array("first".utf8))
        writer.write(Array("second".utf8), isUrgent: true)
        #expect(pipe.read(upTo: 100) == "first\nsecond\n")
    }

    @Test("a pipe that another process has made non-blocking gets every line")
    func nonBlocking() async throws {
        let pipe = try TestPipe()
        _ = fcntl(pipe.writeEnd, F_SETFL, O_NONBLOCK)
        let writer = Self.writer(pipe.writeEnd)
        let lines = (0..<20_000).map { "line \($0)" }
        // More than the 64 KiB that a pipe holds.
        for line in lines { writer.write(Array(line.utf8)) }
        let text = try await OwnThread.run("reader") {
            var text = ""
            while !text.hasSuffix("line 19999\n") { text += pipe.read(upTo: 1 << 16) }
            return text
        }
        #expect(text == lines.map { "\($0)\n" }.joined())
    }

    @Test("a reader that goes away ends neither the process nor the log")
    func readerGone() throws {
        let pipe = try TestPipe()
        let writer = Self.writer(pipe.writeEnd)
        pipe.closeReadEnd()
        writer.write(Array("lost".utf8), isUrgent: true)
        writer.write(Array("lost too".utf8), isUrgent: true)
        #expect(writer.dropped == 2)
    }

    @Test("a pipe that is full and not read delays neither the next line nor the end by more than is allowed")
    func full() throws {
        let pipe = try TestPipe()
        let writer = LogWriter(
            limits: .init(maxWait: .milliseconds(1)),
            notice: { Array("\($0) dropped".utf8) },
            output: LogDescriptor(number: pipe.writeEnd).write
        )
        let line = [UInt8](repeating: UInt8(ascii: "x"), count: 1000)
        for _ in 0..<200 { writer.write(line, isUrgent: true) }
        #expect(!writer.flush(within: .milliseconds(10)))
        #expect(writer.dropped == 0, "8 MiB may wait")
        // Lets the thread end its write, which would otherwise hold the descriptor.
        pipe.closeReadEnd()
        #expect(writer.flush(within: .seconds(30)))
    }
}

private final class TestPipe: Sendable {
    let writeEnd: Int32
    private let readEnd: Int32

    init() throws {
        var ends: [Int32] = [0, 0]
        guard Glibc.pipe(&ends) == 0 else { throw CocoaError(.fileReadUnknown) }
        // A process that another test starts must not inherit an end.
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (readEnd, writeEnd) = (ends[0], ends[1])
    }

    func read(upTo limit: Int) -> String {
        var bytes = [UInt8](repeating: 0, count: limit)
        let count = Glibc.read(readEnd, &bytes, limit)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    func closeReadEnd() { close(readEnd) }
}
