// What the services answered in this run, for `scripts/check-answers`, which compares it with openapi.yaml.
//
// The clients of the tests write a line for each answer. `make test` names the file; without `TESSERA_TEST_ANSWERS`
// nothing is written. Several processes append to one file, so a line is one write.
internal import Foundation
internal import Synchronization

package enum AnswerLog {
    private struct State {
        var written: Set<String> = []
        let output: FileHandle?
    }

    private static let state = Mutex(State(output: openOutput()))

    /// The file of this run, for a program that a test starts; `nil` if answers are not written.
    package static let file: String? = {
        guard let path = ProcessInfo.processInfo.environment["TESSERA_TEST_ANSWERS"], !path.isEmpty else { return nil }
        return path
    }()

    /// Adds an answer. The script finds the operation of the path, and ignores paths without one.
    package static func add(_ method: String, _ path: String, status: Int, code: @autoclosure () -> String?) {
        guard file != nil else { return }
        let place = path.prefix { $0 != "?" && $0 != "#" }.filter { !$0.isWhitespace }
        let line = "\(method) \(place) \(status) \(code() ?? "-")\n"
        state.withLock { state in
            // Tests ask the same many times.
            guard state.written.insert(line).inserted else { return }
            try? state.output?.write(contentsOf: Data(line.utf8))
        }
    }

    /// In append mode, since a test's programs write to the same file.
    private static func openOutput() -> FileHandle? {
        guard let file else { return nil }
        let descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        return descriptor >= 0 ? FileHandle(fileDescriptor: descriptor, closeOnDealloc: true) : nil
    }
}
