// The messages of one conversation of a file: numbers without a gap, parents that came before, and a head that lives.
//
// A parent that came before its child cannot stand below it, so what is taken has no cycle.
import ServiceKit
import Storage

struct ImportedTree {
    private struct Place {
        let id: String
        let parent: Int?
        let deletedAt: Instant?
    }

    let conversation: String
    let head: String?
    private let last: Int64
    private var places: [Place] = []
    private var numbers: [String: Int] = [:]

    init(_ row: ImportedRow) throws(ImportRefusal) {
        guard let id = row.text("id"), let last = row.integer("last_seq") else { throw row.refusal("id") }
        conversation = id.verbatim
        head = row.text("head_message_id")?.verbatim
        self.last = last
    }

    mutating func take(_ row: ImportedRow) throws(ImportRefusal) {
        try row.require("conversation_id", is: conversation)
        guard let id = row.text("id")?.verbatim, row.integer("seq") == Int64(places.count) + 1 else {
            throw row.refusal("seq")
        }
        var parent: Int?
        if let named = row.text("parent_id") {
            guard let number = numbers[named.verbatim] else { throw row.refusal("parent_id") }
            parent = number
        }
        guard numbers.updateValue(places.count, forKey: id) == nil else { throw row.refusal("id") }
        places.append(Place(id: id, parent: parent, deletedAt: row.instant("deleted_at")))
    }

    /// The head of the whole. One that was deleted while the export was read passes on to the nearest message above it
    /// that lives, as a deletion does it.
    func finish(exportedAt: Instant?) throws(ImportRefusal) -> String? {
        func refusal(_ column: String) -> ImportRefusal {
            ImportRefusal("conversation \(conversation): \(column) is not what an export has there")
        }
        guard Int64(places.count) == last else { throw refusal("last_seq") }
        let newest = places.last { $0.deletedAt == nil }
        guard let head else {
            guard newest == nil else { throw refusal("head_message_id") }
            return nil
        }
        guard let number = numbers[head] else { throw refusal("head_message_id") }
        guard let deletedAt = places[number].deletedAt else { return head }
        guard let exportedAt, deletedAt >= exportedAt else { throw refusal("head_message_id") }
        var above = places[number].parent
        while let number = above {
            if places[number].deletedAt == nil { return places[number].id }
            above = places[number].parent
        }
        return newest?.id
    }
}
