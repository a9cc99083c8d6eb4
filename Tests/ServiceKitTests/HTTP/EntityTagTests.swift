// Conditional requests, as RFC 9110 §13.1 compares.
import HTTPTypes
import Hummingbird
import NIOCore
import Testing

@testable import ServiceKit

@Suite("Entity tags")
struct EntityTagTests {
    private static func refusal(_ fields: HTTPFields, of version: Int64) -> APIError? {
        let head = HTTPRequest(method: .patch, scheme: "http", authority: "x", path: "/", headerFields: fields)
        do throws(APIError) {
            try VersionPrecondition(Request(head: head, body: .init(buffer: ByteBuffer()))).check(version: version)
            return nil
        } catch {
            return error
        }
    }

    @Test("a list holds weak and strong tags, and commas in them")
    func lists() {
        func opaque(_ values: String...) -> [String] {
            EntityTagList(values.map { RequestText($0) }).tags.map(\.opaque.verbatim)
        }
        #expect(opaque("\"a\"") == ["\"a\""])
        #expect(opaque("\"a\", W/\"b\" ,\t\"c\"") == ["\"a\"", "\"b\"", "\"c\""])
        #expect(opaque("\"a\"", "\"b\"") == ["\"a\"", "\"b\""])
        #expect(opaque("\"a,b\", \"\"") == ["\"a,b\"", "\"\""])
        #expect(opaque(",, \"a\",") == ["\"a\""])
        for bad in ["", "a", "w/\"a\"", "W/", "\"a", "W/ \"a\"", "v1"] { #expect(opaque(bad).isEmpty, "\(bad)") }
        #expect(opaque("\"a\", b, \"c\"") == ["\"a\""], "what comes behind a mistake is not guessed")
        #expect(EntityTagList(["*"]).isAny && EntityTagList(["\"a\"", " * "]).isAny && !EntityTagList(["\"*\""]).isAny)
        #expect(EntityTagList(["\"a\", W/\"b\""]).tags.map(\.isWeak) == [false, true])
    }

    @Test("If-None-Match compares weakly")
    func weakly() {
        for list in ["\"v1\"", "W/\"v1\"", "\"x\", W/\"v1\"", "*", "\"x\",\"v1\""] {
            #expect(EntityTagList([RequestText(list)]).holds("\"v1\""), "\(list)")
            #expect(EntityTagList([RequestText(list)]).holds("W/\"v1\""), "\(list)")
        }
        for list in ["", "\"v2\"", "v1", "\"V1\"", "\"v1 \"", "\"v1\u{301}\""] {
            #expect(!EntityTagList([RequestText(list)]).holds("\"v1\""), "\(list)")
        }
    }

    @Test("If-Match compares strongly, by the version alone, and says why a weak tag does not do")
    func match() {
        for tag in ["\"v3\"", "\"v3-0123abcd\"", "\"v1\", \"v3\"", "*", "W/\"v3\", \"v3\""] {
            #expect(Self.refusal([.ifMatch: tag], of: 3) == nil, "\(tag)")
        }
        for tag in ["\"v2\"", "", "v3", "\"3\"", "\"v03x\"", "\"v\"", "\"v-3\"", "\"w3\"", "\"v3\u{301}\""] {
            let refusal = Self.refusal([.ifMatch: tag], of: 3)
            #expect(refusal?.code == .preconditionFailed && refusal?.detail == nil, "\(tag)")
        }
        for tag in ["W/\"v3\"", "W/\"v3-0123abcd\"", "\"v2\", W/\"v3\""] {
            let refusal = Self.refusal([.ifMatch: tag], of: 3)
            #expect(refusal?.code == .preconditionFailed && refusal?.detail?.contains("strong") == true, "\(tag)")
        }
        #expect(Self.refusal([:], of: 3) == nil)
    }

    @Test("If-None-Match keeps a change from a version that is known")
    func noneMatch() {
        for tag in ["\"v3\"", "W/\"v3\"", "*", "\"x\", \"v3-0123abcd\""] {
            #expect(Self.refusal([.ifNoneMatch: tag], of: 3)?.code == .preconditionFailed, "\(tag)")
        }
        for tag in ["\"v2\"", "\"x\"", ""] { #expect(Self.refusal([.ifNoneMatch: tag], of: 3) == nil, "\(tag)") }
        #expect(Self.refusal([.ifMatch: "*", .ifNoneMatch: "\"v2\""], of: 3) == nil)
        #expect(VersionPrecondition.none == VersionPrecondition.none)
    }

    @Test("an answer that shows more than a row's own fields has a tag that follows it")
    func content() {
        func tag(_ count: Int) -> String {
            EntityTag.version(7, showing: JSONWriter.object { $0.field("message_count", count) })
        }
        #expect(tag(1) == tag(1) && tag(1) != tag(2) && tag(1).hasPrefix("\"v7-"))
        #expect(EntityTagList([RequestText(tag(1))]).tags.first?.version == 7)
        #expect(EntityTag.version(7) == "\"v7\"")
    }
}
