// Whose address a request has, by what proxies say of it.
import HTTPTypes
import Testing

@testable import ServiceKit

@Suite("Forwarded addresses")
struct ForwardedHopsTests {
    private static let trusted = ["10.0.0.0/8", "fd00::/8"].compactMap(IPNetwork.init)

    private static func client(_ peer: String?, _ fields: HTTPFields) -> String? {
        ClientAddressMiddleware<NoContext>
            .client(peer: peer, forwarded: ForwardedHops(fields), trusted: trusted).text
    }

    private static func plain(_ values: String..., peer: String? = "10.0.0.1") -> String? {
        var fields = HTTPFields()
        for value in values { fields.append(HTTPField(name: .forwardedFor, value: value)) }
        return client(peer, fields)
    }

    private static func standard(_ values: String..., peer: String? = "10.0.0.1") -> String? {
        var fields = HTTPFields()
        for value in values { fields.append(HTTPField(name: .forwarded, value: value)) }
        return client(peer, fields)
    }

    @Test("X-Forwarded-For counts from configured proxies only, walked from the right")
    func walk() {
        #expect(Self.client("198.51.100.7", [:]) == "198.51.100.7")
        #expect(Self.plain("1.2.3.4", peer: "198.51.100.7") == "198.51.100.7", "a stranger's header counts for nothing")
        #expect(Self.plain("1.2.3.4") == "1.2.3.4")
        #expect(Self.plain("6.6.6.6, 1.2.3.4") == "1.2.3.4", "what stands left of the client was sent by it")
        #expect(Self.plain("6.6.6.6", "1.2.3.4, 10.0.0.2") == "1.2.3.4")
        #expect(Self.plain("2001:db8::1", peer: "fd00::1") == "2001:db8::1")
        #expect(Self.plain("garbage") == "10.0.0.1")
        #expect(Self.plain("6.6.6.6, garbage, 10.0.0.2") == "10.0.0.2")
        #expect(Self.plain("1.2.3.4", peer: nil) == nil)
        #expect(Self.plain("10.0.0.3, 10.0.0.2") == "10.0.0.3", "an installation's own caller")
        #expect(Self.plain("") == "10.0.0.1")
        #expect(Self.plain(", 1.2.3.4 ,,") == "1.2.3.4")
    }

    @Test(
        "an address may have a port, and has one spelling",
        arguments: [
            ("203.0.113.9:51234", "203.0.113.9"), ("[2001:db8::7]:443", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:DB8:0:0::7", "2001:db8::7"), ("::ffff:203.0.113.9", "203.0.113.9"),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9"), ("203.0.113.9", "203.0.113.9"),
        ]
    )
    func ports(sent: String, address: String) {
        #expect(Self.plain(sent) == address)
        #expect(Self.plain("6.6.6.6:1, \(sent), 10.0.0.2:8080") == address)
        #expect(Self.plain("6.6.6.6", "\(sent),[fd00::9]:443") == address)
        #expect(Self.standard("for=\"\(sent)\"") == address)
        #expect(Self.standard("for=6.6.6.6;by=1.1.1.1, For=\"\(sent)\";proto=https , for=10.0.0.2") == address)
        #expect(ClientAddress(address).network == ClientAddress(Self.plain(sent) ?? "").network)
    }

    @Test(
        "what is no address is none",
        arguments: [
            "203.0.113.9:", "203.0.113.9:x", "203.0.113.9:123456", "203.0.113.9:80:90", "[203.0.113.9]", "[2001:db8::7",
            "2001:db8::7]:443", "[2001:db8::7]443", "[2001:db8::7]:", "[]:443", ":443", "203.0.113", "203.0.113.999",
            "unknown", "_hidden", "\"", "\"203.0.113.9", "http://203.0.113.9", "203.0.113.9/24", "fe80::1%eth0",
        ]
    )
    func noAddress(sent: String) {
        #expect(Self.plain(sent) == "10.0.0.1")
        #expect(ForwardedHops.address(RequestText(sent)) == nil)
    }

    @Test("Forwarded is read as RFC 7239 has it")
    func standardSyntax() {
        #expect(Self.standard("for=192.0.2.43") == "192.0.2.43")
        #expect(Self.standard("For=\"[2001:db8:cafe::17]:4711\"") == "2001:db8:cafe::17")
        #expect(Self.standard("for=192.0.2.60;proto=http;by=203.0.113.43") == "192.0.2.60")
        #expect(Self.standard("proto=http; for=192.0.2.60") == "192.0.2.60")
        #expect(Self.standard("for=6.6.6.6, for=198.51.100.17", "for=10.0.0.9") == "198.51.100.17")
        #expect(Self.standard("for=\"_gazonk\"") == "10.0.0.1")
        #expect(Self.standard("for=6.6.6.6, for=unknown") == "10.0.0.1", "the chain ends at the hop that is hidden")
        #expect(Self.standard("for=192.0.2.43:_port") == "192.0.2.43")
        #expect(
            Self.standard("host=\"a,for=6.6.6.6;x\";for=192.0.2.43") == "192.0.2.43",
            "a comma in quotes ends nothing"
        )
        #expect(Self.standard("by=203.0.113.43") == "10.0.0.1")
        #expect(Self.standard("for=1.2.3.4", peer: "198.51.100.7") == "198.51.100.7")
    }

    @Test("of two fields that disagree neither counts, since a client can send the one that its proxy does not write")
    func both() {
        let same: HTTPFields = [.forwardedFor: "1.2.3.4:5", .forwarded: "for=1.2.3.4"]
        #expect(Self.client("10.0.0.1", same) == "1.2.3.4")
        let forged: HTTPFields = [.forwardedFor: "1.2.3.4", .forwarded: "for=6.6.6.6"]
        #expect(Self.client("10.0.0.1", forged) == "10.0.0.1")
    }
}
