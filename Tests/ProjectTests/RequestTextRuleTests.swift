// Text of requests is handled by bytes and scalars: what the compiler cannot hold of that.
//
// `RequestText` has no characters, so the compiler refuses to count or cut it by them. What is left is the `String`
// inside, the request as Hummingbird hands it on, and texts that never had the type.
import Testing

@Suite("Text of requests in the sources")
struct RequestTextRuleTests {
    private static let folders = ["Sources/AuthService", "Sources/ChatService", "Sources/ServiceKit"]

    /// Members of `String` that walk characters or normalise. `RequestText` has others in their place.
    private static let walking: Set<String> = [
        "Character", "hasPrefix", "hasSuffix", "lowercased", "uppercased", "trimmingCharacters", "isNewline",
        "precomposedStringWithCanonicalMapping", "localizedCaseInsensitiveCompare", "caseInsensitiveCompare",
    ]

    /// Files that may use them: on texts that are measured there, or that no request has written.
    private static let measured: [String: Set<String>] = [
        "Sources/ServiceKit/Text/RequestWords.swift": ["lowercased"],
        "Sources/AuthService/Identity/Users/LookupKey.swift": ["lowercased", "precomposedStringWithCanonicalMapping"],
        "Sources/ChatService/Conversations/Tags/TagName.swift": [
            "lowercased", "precomposedStringWithCanonicalMapping",
        ],
        // At most 81 scalars.
        "Sources/ChatService/Conversations/Conversation/AutomaticTitle.swift": ["Character"],
        // Names of tags.
        "Sources/ChatService/Conversations/Conversation/Conversation.swift": ["lowercased"],
        "Sources/ChatService/Conversations/Tags/TagStatements.swift": ["Character"],
        // One scalar.
        "Sources/ChatService/Search/Text/WordScanner.swift": ["Character"],
        "Sources/ChatService/Search/Text/ScalarFolding.swift": ["Character", "lowercased", "uppercased"],
        // The configured URL.
        "Sources/AuthService/Sessions/Cookies/HostCookie.swift": ["hasPrefix"],
    ]

    @Test("no text is walked by characters but where it is known to be short")
    func characters() throws {
        var used: [String: Set<String>] = [:]
        for file in Self.folders.flatMap(Repository.swiftFiles(under:)) {
            let found = Self.walkingWords(in: try Repository.text(file))
            if !found.isEmpty { used[file] = found }
            #expect(found.subtracting(Self.measured[file] ?? []) == [], "\(file)")
        }
        for (file, words) in Self.measured {
            #expect(words.subtracting(used[file] ?? []) == [], "\(file) does not need to be on the list for these")
        }
        #expect(
            Self.walkingWords(in: #"name.hasPrefix("a") && "\(x.lowercased())" == y"#) == ["hasPrefix", "lowercased"]
        )
        #expect(Self.walkingWords(in: "// name.hasPrefix\nlet text = \"hasPrefix\"") == [])
    }

    private static func walkingWords(in source: String) -> Set<String> {
        let parts = SourceText(source)
        let words = Word.all(in: parts.code) + Word.all(in: parts.interpolations)
        return Set(words.map { String($0.text) }).intersection(walking)
    }

    @Test("what a text says verbatim is passed on, and not compared, counted or cut")
    func verbatim() throws {
        var seen = 0
        for file in Self.folders.flatMap(Repository.swiftFiles(under:)) where !file.contains("/ServiceKit/Text/") {
            let code = SourceText(try Repository.text(file)).code
            seen += Word.all(in: code).count { $0.text == "verbatim" }
            guard Self.measured[file] == nil else { continue }
            #expect(Self.misuses(in: code) == [], "\(file)")
        }
        #expect(seen > 30)
        for bad in [
            "name.verbatim == other", "name.verbatim != other", "other == name.verbatim", "name.verbatim.count",
            "name.verbatim.prefix(3)", "name?.verbatim < other", "names.sorted { $0.verbatim < $1.verbatim }",
            "name.verbatim[index]",
        ] { #expect(!Self.misuses(in: bad).isEmpty, "\(bad)") }
        for good in ["f(name.verbatim)", "name.verbatim + \"Z\"", "name.verbatim ?? other", "names.map(\\.verbatim)"] {
            #expect(Self.misuses(in: good).isEmpty, "\(good)")
        }
    }

    /// Uses of `verbatim` that look at the text.
    private static func misuses(in code: String) -> [String] {
        code.split(separator: "\n").filter { line in
            line.contains(/\.verbatim(\.[a-z]|\[| *(==|!=|<|>))/)
                || line.contains(/(==|!=|<|>) *[A-Za-z0-9_$.?]+\.verbatim/)
        }.map(String.init)
    }

    @Test("fields of requests are read as text of requests")
    func headers() throws {
        for file in Self.folders.flatMap(Repository.swiftFiles(under:)) where !file.contains("/ServiceKit/Text/") {
            #expect(Self.rawFields(in: SourceText(try Repository.text(file)).code) == [], "\(file)")
        }
        #expect(!Self.rawFields(in: "let agent = request.headers[.userAgent]").isEmpty)
        #expect(!Self.rawFields(in: "headers[values: .cookie].first").isEmpty)
        #expect(Self.rawFields(in: "response.headers[.vary] = origin").isEmpty)
    }

    private static func rawFields(in code: String) -> [String] {
        code.split(separator: "\n").filter { line in
            // Set-Cookie is of an answer.
            line.contains("request.headers[")
                || line.contains("headers[values:") && !line.contains("headers[values: .setCookie]")
        }.map(String.init)
    }
}
