// Versions of rows as HTTP names them, and what a request demands of them (RFC 9110 §8.8.3 and §13.1).
//
// The tag of a row is `"v3"`: its own fields at that version. Some answers show more than those: counters of messages,
// names of tags, siblings. They change while the version stays, so their tag has a digest as well, `"v3-5f1c…"`.
// `If-Match` looks at the version alone: a new message is no reason to refuse a new title.
import HTTPTypes
package import Hummingbird
import OpenSSLCrypto
package import Storage

package enum EntityTag {
    /// The tag of a row with a version.
    package static func version(_ version: Int64) -> String { "\"v\(version)\"" }

    /// The tag of an answer that shows more than the row's own fields.
    package static func version(_ version: Int64, showing body: JSONWriter) -> String {
        "\"v\(version)-\(digest(body))\""
    }

    /// The tag of an answer that is no row.
    package static func content(_ body: JSONWriter) -> String { "\"\(digest(body))\"" }

    private static func digest(_ body: JSONWriter) -> String {
        Hex.encode(Array(SHA256.digest(body.bytes).prefix(12)))
    }
}

/// A row whose version requests may name, and which a refusal shows.
package protocol VersionedRow: Sendable {
    var version: Int64 { get }
    func writeMembers(to writer: inout JSONWriter) throws(StorageError)
}

/// The list of a conditional field: `*`, or entity tags, each of them weak or strong.
struct EntityTagList: Sendable, Equatable {
    struct Tag: Sendable, Hashable {
        let isWeak: Bool
        /// With its quotes.
        let opaque: RequestText

        /// The version of a row's tag.
        var version: Int64? {
            guard opaque.begins(with: "\"v") else { return nil }
            let digits = opaque.utf8.dropFirst(2).dropLast().prefix { (0x30...0x39).contains($0) }
            let rest = opaque.utf8[digits.endIndex...].first
            guard rest == UInt8(ascii: "-") || rest == UInt8(ascii: "\"") else { return nil }
            return Int64(String(Substring(digits)))
        }
    }

    private(set) var isAny = false
    private(set) var tags: [Tag] = []

    /// Reads the values of a field. What comes behind something that is no tag is not read, and matches nothing.
    init(_ values: [RequestText]) {
        var rest = Array(values.map(\.utf8).joined(separator: ",".utf8))[...]
        while true {
            rest = rest.drop { $0 == 0x20 || $0 == 0x09 || $0 == UInt8(ascii: ",") }
            guard let first = rest.first else { return }
            if first == UInt8(ascii: "*") {
                isAny = true
                rest = rest.dropFirst()
                continue
            }
            let isWeak = rest.starts(with: "W/".utf8)
            if isWeak { rest = rest.dropFirst(2) }
            guard rest.first == UInt8(ascii: "\""),
                let end = rest.dropFirst().firstIndex(of: UInt8(ascii: "\"")),
                let opaque = String(validating: rest[...end], as: UTF8.self)
            else { return }
            tags.append(Tag(isWeak: isWeak, opaque: RequestText(opaque)))
            rest = rest[end...].dropFirst()
        }
    }

    /// Whether a tag is in the list, as `If-None-Match` compares: weakly.
    func holds(_ tag: String) -> Bool {
        let tag = RequestText(tag)
        let strong = tag.dropping(prefix: "W/") ?? tag
        return isAny || tags.contains { $0.opaque == strong }
    }
}

/// What the `If-Match` and `If-None-Match` of a request that changes a row demand of its version.
package struct VersionPrecondition: Sendable, Equatable {
    /// Any version will do, as long as the row exists.
    package static let none = VersionPrecondition(match: nil, noneMatch: nil)

    private let match: EntityTagList?
    private let noneMatch: EntityTagList?

    private init(match: EntityTagList?, noneMatch: EntityTagList?) {
        self.match = match
        self.noneMatch = noneMatch
    }

    package init(_ request: Request) {
        func list(_ name: HTTPField.Name) -> EntityTagList? {
            let values = request.headers.texts(name)
            return values.isEmpty ? nil : EntityTagList(values)
        }
        let match = list(.ifMatch)
        // RFC 9110 §13.1.1: `*` is true of every row that exists.
        self.init(match: match?.isAny == true ? nil : match, noneMatch: list(.ifNoneMatch))
    }

    /// Throws `precondition_failed` with the row and its `ETag`, unless the version matches. So a client that lost the
    /// race can merge and try again without another request.
    package func check(_ row: some VersionedRow) throws {
        do throws(APIError) {
            try check(version: row.version)
        } catch {
            var refusal = error
            refusal.headers[.eTag] = EntityTag.version(row.version)
            refusal.current = try JSONWriter.object { try row.writeMembers(to: &$0) }
            throw refusal
        }
    }

    func check(version: Int64) throws(APIError) {
        // Tags that are weak or not ours match nothing, as strong comparison has it; so does a header that names none.
        if let match, !match.tags.contains(where: { !$0.isWeak && $0.version == version }) {
            let isWeak = match.tags.contains { $0.isWeak }
            throw APIError(
                .preconditionFailed,
                detail: isWeak
                    ? "If-Match needs a strong entity tag; one that begins with W/ is weak and never matches." : nil
            )
        }
        if let noneMatch, noneMatch.isAny || noneMatch.tags.contains(where: { $0.version == version }) {
            throw APIError(.preconditionFailed, detail: "If-None-Match names the version that is there.")
        }
    }
}
