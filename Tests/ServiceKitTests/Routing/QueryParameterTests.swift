// A query is what its operation declares, or is refused by name.
import Storage
import Testing

@testable import ServiceKit

@Suite("Query parameters")
struct QueryParameterTests {
    private enum Sort: String, CaseIterable { case recent, relevance }

    private static let limit = QueryParameter.integer("limit", in: 1...100)
    private static let text = QueryParameter.text("q")
    private static let flag = QueryParameter.boolean("flag")
    private static let from = QueryParameter.instant("from")
    private static let sort = QueryParameter.choice("sort", of: Sort.self)
    private static let since = QueryParameter.duration("since")
    private static let owner = QueryParameter.id("owner_id")
    private static let include = QueryParameter.word("include", of: ["a", "a,b"])
    private static let declaration = QueryDeclaration(limit, text, flag, from, sort, since, owner, include)

    private static func read(
        _ query: String,
        _ declaration: QueryDeclaration = Self.declaration
    ) throws(APIError) -> QueryParameters {
        try QueryParameters(RequestTarget("/v1/x?\(query)"), declaration)
    }

    /// The refusals of a query: `field code`.
    private static func refusals(_ query: String, _ declaration: QueryDeclaration = Self.declaration) -> [String] {
        do throws(APIError) {
            _ = try read(query, declaration)
            return []
        } catch {
            return error.fields.isEmpty ? [error.code.rawValue] : error.fields.map { "\($0.field) \($0.code)" }
        }
    }

    @Test(
        "plus is a space and %2B a plus, decoded once",
        arguments: [
            ("q=gamma+delta", "gamma delta"), ("q=gamma%20delta", "gamma delta"), ("q=c%2Bd", "c+d"),
            ("q=%2525", "%25"),
            ("q=a%26b%3Dc", "a&b=c"), ("q=a=b=c", "a=b=c"), ("q=", ""), ("q", ""), ("%71=x", "x"), ("&&q=x&", "x"),
            ("q=%C3%BC", "ü"), ("q=ü", "ü"), ("q=a%23b", "a#b"), ("q=a?b/c", "a?b/c"), ("q=++", "  "), ("q=%2b", "+"),
            ("q=%F0%9F%8E%84", "🎄"), ("q=%EF%BF%BD", "\u{FFFD}"), ("q=a;b", "a;b"), ("q=a\\b", "a\\b"),
        ]
    )
    func decoding(query: String, value: String) throws {
        #expect(try Self.read(query)[Self.text] == RequestText(value))
    }

    @Test(
        "what is malformed is refused, whatever it is of",
        arguments: [
            "q=%", "q=%4", "q=%zz", "q=100%", "%=x", "q=%FF", "q=%C3", "q=%C0%AF", "q=%ED%A0%80", "q=%00", "q=a%00",
            "q=a b", "q=a\tb", "q=\u{FFFD}", "q=a#b", "unknown=%zz",
        ]
    )
    func malformed(query: String) {
        #expect(Self.refusals(query) == ["bad_request"])
    }

    @Test("a parameter that is unknown or repeated is named")
    func unknown() {
        #expect(Self.refusals("limt=5") == ["limt unknown_parameter"])
        #expect(Self.refusals("Limit=5") == ["Limit unknown_parameter"])
        #expect(Self.refusals("limit[]=5") == ["limit[] unknown_parameter"])
        #expect(Self.refusals("=5") == [" unknown_parameter"])
        #expect(Self.refusals("limit=5&limit=6") == ["limit repeated_parameter"])
        #expect(Self.refusals("limit=5&%6Cimit=5") == ["limit repeated_parameter"])
        #expect(Self.refusals("a=1&limit=1&b=2") == ["a unknown_parameter", "b unknown_parameter"])
        #expect(Self.refusals("x=1", .none) == ["x unknown_parameter"])
        #expect(Self.refusals("", .none).isEmpty)
        #expect(Self.refusals("&", .none).isEmpty)
        #expect(Self.refusals((0..<100).map { "a\($0)=" }.joined(separator: "&")).count == 16)
    }

    @Test("a name is shown in part, and never compared by what it looks like")
    func names() {
        let long = String(repeating: "a", count: 500)
        #expect(Self.refusals("\(long)=1") == ["\(String(repeating: "a", count: 64)) unknown_parameter"])
        let owner = QueryDeclaration(QueryParameter.text("K"))
        // KELVIN SIGN is canonically equivalent to K.
        #expect(Self.refusals("%E2%84%AA=1", owner) == ["\u{212A} unknown_parameter"])
    }

    @Test("what must be there is missed by name")
    func required() throws {
        let declaration = QueryDeclaration(Self.limit, Self.text.required)
        #expect(Self.refusals("limit=5", declaration) == ["q required"])
        #expect(Self.refusals("limit=5&x=1", declaration) == ["x unknown_parameter", "q required"])
        #expect(Self.refusals("q=", declaration).isEmpty)
    }

    @Test("an operation that others link to ignores what stands there")
    func ignored() throws {
        for query in ["x=1", "x=1&x=2", "q=%zz", "%", "#"] {
            #expect(Self.refusals(query, .ignored).isEmpty, "\(query)")
        }
    }

    @Test("values are read by type, and refused by name")
    func values() throws {
        let query = try Self.read(
            "limit=7&flag=TRUE&from=2026-01-01T00:00:00%2B05:30&sort=Relevance&since=15m&owner_id=a:b&include=A,b"
        )
        #expect(try query[Self.limit] == 7)
        #expect(try query[Self.flag] == true)
        #expect(try query[Self.from] == Instant(rfc3339: "2025-12-31T18:30:00Z"))
        #expect(try query[Self.sort] == .relevance)
        #expect(try query[Self.since] == .seconds(900))
        #expect(try query[Self.owner] == "a:b")
        #expect(try query[Self.include] == "a,b")
        #expect(try query[Self.text] == nil && !query.has(Self.text) && query.has(Self.limit))

        func refusal<Value>(_ query: String, _ parameter: QueryParameter<Value>) -> FieldError? {
            do throws(APIError) {
                _ = try Self.read(query)[parameter]
                return nil
            } catch {
                return error.fields.first
            }
        }
        for text in ["0", "101", "-1", "1.0", "", "x", "99999999999999999999", "%D9%A3"] {
            #expect(refusal("limit=\(text)", Self.limit)?.field == "limit", "\(text)")
        }
        for text in ["", "yes", "2", "tru"] { #expect(refusal("flag=\(text)", Self.flag) != nil, "\(text)") }
        for text in ["", "15", "m", "15w", "1.5h", "99999999999999999999d"] {
            #expect(refusal("since=\(text)", Self.since) != nil, "\(text)")
        }
        for text in ["", "newest"] { #expect(refusal("sort=\(text)", Self.sort) != nil, "\(text)") }
        for text in ["", "-a", "a/b"] { #expect(refusal("owner_id=\(text)", Self.owner) != nil, "\(text)") }
        for text in ["", "b", "a,c"] { #expect(refusal("include=\(text)", Self.include) != nil, "\(text)") }
        for text in ["", "2026-01-01", "yesterday"] {
            #expect(refusal("from=\(text)", Self.from)?.message.contains("%2B") == false, "\(text)")
        }
        // What the plus of an offset becomes, and how it is written.
        #expect(refusal("from=2026-01-01T00:00:00+05:30", Self.from)?.message.contains("%2B") == true)
    }

    @Test("a name is found before a route is known, in any spelling")
    func early() {
        for query in ["cookie=true", "cookie", "a=1&cookie=", "%63ookie=1", "x=%zz&cookie=1"] {
            #expect(RequestTarget("/v1/login?\(query)").names("cookie"), "\(query)")
        }
        for query in ["", "a=cookie", "Cookie=1", "cookie2=1", "%zzcookie=1"] {
            #expect(!RequestTarget("/v1/login?\(query)").names("cookie"), "\(query)")
        }
    }
}
