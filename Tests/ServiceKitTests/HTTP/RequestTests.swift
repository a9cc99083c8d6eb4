import HTTPTypes
import Storage
import Testing

@testable import ServiceKit

@Suite("Requests")
struct RequestTests {
    @Test("a network is IPv4 /32 or IPv6 /64, in any spelling")
    func networks() {
        #expect(ClientAddress("192.0.2.1").network != ClientAddress("192.0.2.2").network)
        #expect(ClientAddress("2001:db8:0:1::1").network == ClientAddress("2001:DB8:0:1:ffff:ffff:ffff:ffff").network)
        #expect(ClientAddress("2001:db8:0:1::1").network != ClientAddress("2001:db8:0:2::1").network)
        #expect(ClientAddress("nonsense").network == "unknown")
    }

    @Test("networks contain what they should, mapped addresses too")
    func containment() throws {
        #expect(try #require(IPNetwork("192.0.2.0/25")).contains("192.0.2.127"))
        #expect(try !#require(IPNetwork("192.0.2.0/25")).contains("192.0.2.128"))
        #expect(try #require(IPNetwork("0.0.0.0/0")).contains("8.8.8.8"))
        #expect(try #require(IPNetwork("192.0.2.1")).contains("::ffff:192.0.2.1"))
        #expect(try !#require(IPNetwork("192.0.2.0/24")).contains("2001:db8::1"))
        for bad in ["", "192.0.2.0/33", "::/129", "192.0.2/24", "a/8", "1.2.3.4/-1", "1.2.3.4/"] {
            #expect(IPNetwork(bad) == nil, "\(bad)")
        }
    }

    @Test("request ids and traces are taken only when they cannot forge a line")
    func requestIDs() {
        typealias Middleware = RequestIDMiddleware<NoContext>
        #expect(Middleware.accepted("abc-DEF_1.2:3") == "abc-DEF_1.2:3")
        for bad in ["", "a b", "a\nb", "é", "\"x\"", String(repeating: "a", count: 129)] {
            #expect(Middleware.accepted(RequestText(bad)) == nil)
        }
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        #expect(Middleware.acceptedTrace(RequestText(trace)) == trace)
        for bad in [
            "01" + trace.dropFirst(2), trace.uppercased(),
            "00-\(String(repeating: "0", count: 32))-00f067aa0ba902b7-01", trace + "-x",
        ] { #expect(Middleware.acceptedTrace(RequestText(bad)) == nil, "\(bad)") }
    }

    @Test("ids have one shape")
    func rowIDs() {
        for good in ["a", "A0._:-", String(repeating: "x", count: 64)] { #expect(RowID.isValid(good)) }
        for bad in ["", "-a", ".a", "a b", "é", "a/b", String(repeating: "x", count: 65)] {
            #expect(!RowID.isValid(bad), "\(bad)")
        }
    }

    @Test("a cursor comes back as it went, to its own list only")
    func cursors() throws {
        let cursor = Cursor(Instant(microseconds: -5), "id-1")
        #expect(try Cursor(RequestText(cursor.encoded(for: "users")), for: "users") == cursor)
        #expect(throws: APIError.self) { try Cursor(RequestText(cursor.encoded(for: "users")), for: "sessions") }
        for bad in ["", "x", "%%%", String(repeating: "A", count: 600)] {
            #expect(throws: APIError.self) { try Cursor(RequestText(bad), for: "users") }
        }
    }

    @Test("a page: one row more than asked tells that there are more")
    func pages() {
        func page(_ rows: [Int], _ cursor: Cursor?, _ direction: PageRequest.Direction) -> Page<Int> {
            Page(fetched: rows, request: PageRequest(limit: 2, cursor: cursor, direction: direction)) {
                Cursor(position: Int64($0), id: "r")
            }
        }
        let first = page([1, 2, 3], nil, .forward)
        #expect(first.items == [1, 2] && first.hasMore && first.next?.position == 2 && first.previous == nil)
        let last = page([3], first.next, .forward)
        #expect(last.items == [3] && !last.hasMore && last.next == nil && last.previous?.position == 3)
        let back = page([2, 1], last.previous, .backward)
        #expect(back.items == [1, 2] && !back.hasMore && back.previous == nil && back.next?.position == 2)
    }
}
