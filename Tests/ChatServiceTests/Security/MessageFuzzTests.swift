// Random operations: append, edit, delete, truncate, switch branches, fork, trash, restore. At the end ChatInvariants
// hold, and the data matches the acknowledged answers.
import HTTPTypes
import ServiceKit
import Storage
import Synchronization
import TestSupport
import Testing

@Suite("Fuzz of messages")
struct MessageFuzzTests {
    private static let workers = 12
    private static let operations = 50

    @Test("concurrent changes of every kind break no promise", arguments: TestEngine.allCases)
    func everything(engine: TestEngine) async throws {
        try await withNodes(engine) { chat in
            let known = Known()
            for number in 0..<3 { try await chat.create(#"{"id":"c\#(number)"}"#) }
            _ = try await inParallel(Self.workers) { worker in
                var dice = Dice(seed: UInt64(worker) + 1)
                for step in 0..<Self.operations {
                    try await Self.operation(chat, known, &dice, worker: worker, step: step)
                }
            }
            #expect(try await ChatInvariant.broken(in: chat.database) == [])
            #expect(try await chat.wronglyIndexed() == [])
            let said = known.state.withLock { $0 }
            #expect(said.odd == [])
            #expect(
                said.done.keys.sorted() == [
                    "append", "batch", "delete", "edit", "fork", "read", "restore", "switch", "trash", "truncate",
                ]
            )
            let statement = Statement("test.all", .reads, "SELECT id, content_text, deleted_at FROM messages")
            let rows = try await chat.database.run(statement.bind()).rows
            var texts: [String: String?] = [:]
            for row in rows { texts[try row.text("id")] = .some(try row.optionalText("content_text")) }
            let deleted = Set(try rows.filter { try $0.optionalInstant("deleted_at") != nil }.map { try $0.text("id") })
            #expect(said.appended.subtracting(texts.keys) == [])
            #expect(Set(texts.keys).subtracting(said.appended) == [])
            #expect(said.deleted.subtracting(deleted) == [])
            // A live message has its last text of those acknowledged or in flight; a copy has any text of some message.
            let everything = said.texts.values.reduce(into: Set<String>()) { $0.formUnion($1) }
            for (id, text) in texts where !deleted.contains(id) {
                let allowed = said.copies.contains(id) ? everything : said.texts[id] ?? []
                #expect(allowed.contains(text ?? ""), "\(id)")
            }
            // A fork keeps its undeleted messages, whatever happens to the original.
            #expect(said.copies.subtracting(texts.keys) == [])
            print(
                "\(engine): \(said.done.sorted { $0.key < $1.key }), \(texts.count) messages, \(deleted.count) deleted"
            )
        }
    }

    private static func operation(_ chat: Chat, _ known: Known, _ dice: inout Dice, worker: Int, step: Int) async throws
    {
        let conversation = known.state.withLock { $0.conversations[dice.roll(3)] }
        let path = "/v1/conversations/\(conversation)"
        let name = "w\(worker)-\(step)"
        let target = known.state.withLock { state -> String? in
            let ids = state.ids[conversation] ?? []
            return ids.isEmpty ? nil : ids[dice.roll(ids.count)]
        }
        switch dice.roll(100) {
        case 0..<28:
            let parent = dice.roll(3) == 0 ? target.map { #","parent_id":"\#($0)""# } ?? "" : ""
            known.says(name, name)
            let body = #"{"id":"\#(name)","role":"user","content":"\#(name)","tokens_in":\#(dice.roll(9))\#(parent)}"#
            let answer = try await chat.send(.post, "\(path)/messages", body, node: worker)
            known.note("append", answer, [201, 400, 404])
            if answer.status == 201 { known.appended([name], in: conversation) }
        case 28..<40:
            let ids = (0..<(2 + dice.roll(4))).map { "\(name)-\($0)" }
            for id in ids { known.says(id, id) }
            let items = ids.map { #"{"id":"\#($0)","role":"assistant","content":"\#($0)","tokens_out":2}"# }
            let body = #"{"messages":[\#(items.joined(separator: ","))]}"#
            let answer = try await chat.send(.post, "\(path)/messages", body, node: worker)
            known.note("batch", answer, [201, 404])
            if answer.status == 201 { known.appended(ids, in: conversation) }
        case 40..<60:
            guard let target else { return }
            known.says(target, "\(name) edit")
            // Copies cost nothing, so the others add up to the total.
            let isCopy = known.state.withLock { $0.copies.contains(target) }
            let tokens = dice.roll(2) == 0 && !isCopy ? #","tokens_in":\#(dice.roll(50))"# : ""
            let answer = try await chat.send(
                .patch,
                "\(path)/messages/\(target)",
                #"{"content":"\#(name) edit"\#(tokens)}"#,
                headers: dice.roll(3) == 0 ? [.ifMatch: "\"v1\""] : [:],
                node: worker
            )
            known.note("edit", answer, [200, 404, 412])
        case 60..<73:
            guard let target else { return }
            let answer = try await chat.send(.delete, "\(path)/messages/\(target)", node: worker)
            known.note("delete", answer, [204, 404])
            if answer.status == 204 { known.state.withLock { _ = $0.deleted.insert(target) } }
        case 73..<81:
            guard let target else { return }
            let answer = try await chat.send(.patch, path, #"{"head_message_id":"\#(target)"}"#, node: worker)
            known.note("switch", answer, [200, 400, 404])
        case 81..<85:
            let last = known.state.withLock { $0.ids[conversation]?.count ?? 0 }
            let answer = try await chat.send(
                .delete,
                "\(path)/messages?after_seq=\(last / 2 + dice.roll(last / 2 + 1))",
                node: worker
            )
            known.note("truncate", answer, [200, 404])
        case 85..<90:
            let body = dice.roll(2) == 0 ? target.map { #"{"message_id":"\#($0)"}"# } : nil
            let answer = try await chat.send(.post, "\(path)/fork", body, node: worker)
            // 409 if others changed the branch at every attempt.
            known.note("fork", answer, [201, 400, 404, 409])
            if answer.status == 201, let fork = try answer.json["id"]?.string {
                let count = try answer.json["message_count"]?.integer ?? 0
                known.copied((0..<count).map { "\(fork).\($0 + 1)" }, in: fork)
                // Half of the forks replace their conversation.
                if dice.roll(2) == 0 { known.replace(conversation, with: fork) }
            }
        case 90..<93:
            // Another worker's next request meets it; then a new one takes its place.
            let answer = try await chat.send(.delete, path, node: worker)
            known.note("trash", answer, [204, 404])
            if answer.status == 204 {
                try await chat.create(#"{"id":"c-\#(name)"}"#)
                known.replace(conversation, with: "c-\(name)")
                known.state.withLock { $0.trashed.append(conversation) }
            }
        case 93..<97:
            let trashed = known.state.withLock { $0.trashed.isEmpty ? nil : $0.trashed[dice.roll($0.trashed.count)] }
            guard let trashed else { return }
            let answer = try await chat.send(.post, "/v1/conversations/\(trashed)/restore", node: worker)
            known.note("restore", answer, [200])
            known.replace(conversation, with: trashed)
        default:
            let answer = try await chat.send(.get, "\(path)/messages?leaf=head&last=20", node: worker)
            known.note("read", answer, [200, 404])
        }
    }
}

private final class Known: Sendable {
    struct State {
        var conversations = ["c0", "c1", "c2"]
        var ids: [String: [String]] = [:]
        var trashed: [String] = []
        var appended: Set<String> = []
        var copies: Set<String> = []
        var deleted: Set<String> = []
        /// Every text that a message was ever given.
        var texts: [String: Set<String>] = [:]
        var done: [String: Int] = [:]
        var odd: [String] = []
    }

    let state = Mutex(State())

    func says(_ id: String, _ text: String) { state.withLock { _ = $0.texts[id, default: []].insert(text) } }

    func appended(_ ids: [String], in conversation: String) {
        state.withLock {
            $0.appended.formUnion(ids)
            $0.ids[conversation, default: []].append(contentsOf: ids)
        }
    }

    func copied(_ ids: [String], in fork: String) {
        appended(ids, in: fork)
        state.withLock { $0.copies.formUnion(ids) }
    }

    /// All later requests go to another conversation.
    func replace(_ conversation: String, with other: String) {
        state.withLock { state in
            state.conversations = state.conversations.map { $0 == conversation ? other : $0 }
        }
    }

    func note(_ kind: String, _ answer: Answer, _ expected: Set<Int>) {
        state.withLock {
            if answer.status < 300 { $0.done[kind, default: 0] += 1 }
            if !expected.contains(answer.status) { $0.odd.append("\(kind) \(answer.status) \(answer.text)") }
        }
    }
}

struct Dice {
    private var numbers: SeededGenerator

    // Not a multiple of the generator's step, or every stream would be a part of the same one.
    init(seed: UInt64) { numbers = SeededGenerator(seed: seed &* 0xD134_2543_DE82_EF95) }

    mutating func roll(_ sides: Int) -> Int { Int(numbers.next() % UInt64(sides)) }
}
