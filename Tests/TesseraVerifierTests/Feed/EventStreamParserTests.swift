import Testing

@testable import TesseraVerifier

@Suite("Reading a stream of events")
struct EventStreamParserTests {
    private struct Heard: Equatable {
        var name: String
        var data: String
        var id: String?
    }

    private func read(_ text: String, chunk: Int = .max, after id: String? = nil) throws -> ([Heard], String?) {
        var parser = EventStreamParser(lastEventID: id)
        var heard: [Heard] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            try parser.parse(rest.prefix(chunk)) { event, id in
                heard.append(Heard(name: event.name, data: String(decoding: event.data, as: UTF8.self), id: id))
            }
            rest = rest.dropFirst(chunk)
        }
        return (heard, parser.lastEventID)
    }

    private static let stream = """
        retry: 1000\r\n\r\nid: e:1\nevent: session.revoked\ndata: {"é":1}\n\n: heartbeat\n\r\
        \u{FEFF}odd: field\rid: e:2\revent:caught_up\rdata\rdata:  two\r\rid: e:7\n\ndata: unnamed\n\nevent: cut\ndata: o
        """

    @Test("the same is read whatever the chunks, and whatever ends the lines", arguments: [1, 2, 3, 7, .max])
    func chunks(_ size: Int) throws {
        let (heard, position) = try read(Self.stream, chunk: size)
        #expect(
            heard == [
                Heard(name: "session.revoked", data: "{\"é\":1}", id: "e:1"),
                Heard(name: "caught_up", data: "\n two", id: "e:2"), Heard(name: "", data: "unnamed", id: "e:7"),
            ]
        )
        #expect(position == "e:7")
    }

    @Test("a byte order mark at the beginning is passed over")
    func byteOrderMark() throws {
        #expect(try read("\u{FEFF}data: x\n\n", chunk: 1).0 == [Heard(name: "", data: "x", id: nil)])
    }

    @Test("the position stays where it was until the stream names another; one with NUL is none")
    func positions() throws {
        #expect(try read("data: x\n\n", after: "e:9") == ([Heard(name: "", data: "x", id: "e:9")], "e:9"))
        #expect(try read("id: a\u{0}b\n\n", after: "e:9").1 == "e:9")
    }

    @Test("whoever cannot take an event does not come to stand behind it")
    func refusedEvent() throws {
        struct Refused: Error {}
        var parser = EventStreamParser()
        try parser.parse(Array("id: e:1\ndata: good\n\n".utf8)) { _, _ in }
        #expect(throws: Refused.self) {
            try parser.parse(Array("id: e:2\ndata: bad\n\n".utf8)) { _, _ in throw Refused() }
        }
        #expect(parser.lastEventID == "e:1")
    }

    @Test("a line or an event without an end is given up")
    func endless() {
        for piece in ["x", "data: 0123456789\n"] {
            var parser = EventStreamParser()
            let bytes = Array(String(repeating: piece, count: 1000).utf8)
            #expect(throws: EventStreamParser.TooLong.self) {
                for _ in 0..<2000 { try parser.parse(bytes) { _, _ in } }
            }
        }
    }
}

extension EventStreamParserTests {
    @Test(
        "each kind of event revokes what it names",
        arguments: [
            ("session.revoked", #"{"data":{"sid":"s"}}"#, .session("s")),
            (
                "user.tokens_revoked", #"{"data":{"user_id":"u","min_ver":4}}"#,
                .user("u", minimumVersion: 4, exceptSession: nil)
            ),
            (
                "user.tokens_revoked", #"{"data":{"user_id":"u","min_ver":4,"except_sid":"s"}}"#,
                .user("u", minimumVersion: 4, exceptSession: "s")
            ),
            (
                "user.tokens_revoked", #"{"data":{"user_id":"u","min_ver":4,"except_sid":null}}"#,
                .user("u", minimumVersion: 4, exceptSession: nil)
            ),
            ("user.deleted", #"{"data":{"user_id":"u"}}"#, .inactiveUser("u")),
            ("user.deactivated", #"{"data":{"user_id":"u"}}"#, .inactiveUser("u")),
            ("user.reactivated", #"{"data":{"user_id":"u"}}"#, .activeUser("u")),
            ("all.tokens_revoked", #"{"data":{"min_gver":7}}"#, .everybody(minimumVersion: 7)),
            ("client.tokens_revoked", #"{"data":{"client_id":"x","issued_before":7}}"#, .client("x", issuedBefore: 7)),
            ("keys.revoked", #"{"id":"e:1","data":{"kid":"k","more":[]}}"#, .key("k")),
        ] as [(String, String, Revocation)]
    )
    func kinds(_ kind: String, _ json: String, _ expected: Revocation) throws {
        #expect(try Revocation(kind: kind, json: Array(json.utf8)) == expected)
    }

    @Test("an event of another kind revokes nothing, whatever it holds")
    func otherKinds() throws {
        for kind in ["user.created", "keys.rotated", "", "session.revoked "] {
            #expect(try Revocation(kind: kind, json: Array("not json".utf8)) == nil)
        }
    }

    @Test(
        "an event that revokes something and does not say what is not passed over",
        arguments: [
            ("session.revoked", "{}"), ("session.revoked", #"{"data":{}}"#), ("session.revoked", "not json"),
            ("session.revoked", #"{"data":{"sid":""}}"#), ("user.tokens_revoked", #"{"data":{"user_id":"u"}}"#),
            ("user.tokens_revoked", #"{"data":{"user_id":"u","min_ver":"4"}}"#),
            ("user.tokens_revoked", #"{"data":{"user_id":"u","min_ver":4,"except_sid":7}}"#),
            ("all.tokens_revoked", #"{"data":{"min_gver":1.5}}"#), ("keys.revoked", #"{"data":{"kid":null}}"#),
            ("client.tokens_revoked", #"{"data":{"client_id":"x"}}"#),
        ]
    )
    func notUnderstood(_ kind: String, _ json: String) {
        #expect(throws: Revocation.NotUnderstood.self) { try Revocation(kind: kind, json: Array(json.utf8)) }
    }
}
