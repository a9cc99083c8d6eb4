// UTS #46, nontransitional: one form for each name, and none for what is no name.
import DomainNames
import Testing

@Suite("Domain names")
struct DomainNameTests {
    @Test(
        "a name has one form, in Unicode, in punycode, in capitals and in full-width letters",
        arguments: [
            (["example.com", "EXAMPLE.com", "ｅxample.com", "example。com", "example．ＣＯＭ"], "example.com"),
            (
                [
                    "bücher.de", "BÜCHER.de", "bu\u{308}cher.de", "xn--bcher-kva.de", "XN--BCHER-KVA.DE",
                    "b\u{AD}ücher.de",
                ],
                "xn--bcher-kva.de"
            ),
            (["пример.рф", "ПРИМЕР.РФ", "xn--e1afmkfd.xn--p1ai", "пример.xn--p1ai"], "xn--e1afmkfd.xn--p1ai"),
            (["日本語。jp", "日本語．ＪＰ", "xn--wgv71a119e.jp"], "xn--wgv71a119e.jp"),
            (["עברית.com", "xn--5dbqzzl.com"], "xn--5dbqzzl.com"),
            (["ﬀ.de", "ff.de"], "ff.de"), (["Ⅷ.com", "viii.com"], "viii.com"), (["𝒳.com", "x.com"], "x.com"),
        ]
    )
    func forms(spellings: [String], ascii: String) {
        for spelling in spellings { #expect(DomainName.ascii(spelling) == ascii, "\(spelling)") }
        #expect(DomainName.ascii(ascii) == ascii)
    }

    @Test("what transitional processing would map away stays: sharp s, final sigma")
    func nontransitional() {
        #expect(DomainName.ascii("faß.de") == "xn--fa-hia.de" && DomainName.ascii("fass.de") == "fass.de")
        #expect(DomainName.ascii("ς.gr") == "xn--3xa.gr")
        #expect(DomainName.unicode("xn--fa-hia.de") == "faß.de")
    }

    @Test("names with two hyphens are names, as they are in the DNS")
    func hyphens() {
        #expect(DomainName.ascii("r3---sn-x.example.com") == "r3---sn-x.example.com")
        #expect(DomainName.ascii("r3---sn-x.bücher.de") == "r3---sn-x.xn--bcher-kva.de")
    }

    @Test("symbols are what UTS #46 says of them, and not what IDNA 2008 does")
    func symbols() {
        for (name, ascii) in [
            ("☃.net", "xn--n3h.net"), ("i❤.ws", "xn--i-7iq.ws"), ("I❤\u{FE0F}.ws", "xn--i-7iq.ws"),
            ("🙂.com", "xn--938h.com"), ("☃☃.net", "xn--n3ha.net"),
        ] {
            #expect(DomainName.ascii(name) == ascii, "\(name)")
            #expect(DomainName.ascii(ascii) == ascii, "\(ascii)")
            #expect(DomainName.ascii(ascii.uppercased()) == ascii, "\(ascii)")
        }
    }

    @Test(
        "what is no name has no form",
        arguments: [
            "", "a..b", ".a", "xn--zzzz.de", "xn--a.de", "xn--fass.de", "xn--.de", "אb.com", "ab\u{200D}c.com",
            "\u{301}a.de", "\u{378}.com", "👩\u{200D}👩.com", "a\u{0}b.com", "☃ב.com", "xn--bcher-kva\u{FC}.de",
            String(repeating: "x", count: 64) + ".de", String(repeating: "ü", count: 60) + ".de",
            String(repeating: "abcdefgh.", count: 29) + "com", String(repeating: "ü", count: 100_000),
        ]
    )
    func refused(name: String) {
        #expect(DomainName.ascii(name) == nil)
    }
}
