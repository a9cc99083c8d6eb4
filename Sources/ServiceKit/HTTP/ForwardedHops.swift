// The addresses that a request has come by, as proxies write them: `X-Forwarded-For`, and `Forwarded` of RFC 7239.
//
// Both are lists, the oldest hop first, and an address may carry a port: `203.0.113.9:51234`, `[2001:db8::7]:443`.
import HTTPTypes

struct ForwardedHops: Sendable {
    /// One list for each of the two fields that is there; `nil` for a hop that has no address (`unknown`, `_hidden`).
    let chains: [[String?]]

    init(_ fields: HTTPFields) {
        func chain(_ name: HTTPField.Name, _ address: (RequestText) -> String?) -> [String?]? {
            let values = fields.texts(name)
            return values.isEmpty ? nil : values.flatMap { Self.parts($0, at: UInt8(ascii: ",")) }.map(address)
        }
        chains = [chain(.forwardedFor, Self.address), chain(.forwarded, Self.element)].compactMap(\.self)
    }

    /// The `for` of an element of RFC 7239 §4.
    private static func element(_ text: RequestText) -> String? {
        for pair in parts(text, at: UInt8(ascii: ";")) {
            let halves = pair.pieces(between: "=", maxSplits: 1, omittingEmpty: false)
            if halves.count == 2, halves[0].keyword == "for" { return address(halves[1]) }
        }
        return nil
    }

    /// A node of RFC 7239 §6 without its port, in the one spelling of its address.
    static func address(_ text: RequestText) -> String? {
        // No address with a port is longer.
        guard text.byteCount <= 64 else { return nil }
        var node = Array(text.utf8)[...]
        if node.first == UInt8(ascii: "\"") {
            guard node.count > 1, node.last == UInt8(ascii: "\"") else { return nil }
            node = node.dropFirst().dropLast()
        }
        var host = node
        var port: ArraySlice<UInt8> = []
        if node.first == UInt8(ascii: "[") {
            guard let end = node.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            host = node[..<end].dropFirst()
            port = node[end...].dropFirst()
            guard host.contains(UInt8(ascii: ":")) else { return nil }
        } else if node.count(where: { $0 == UInt8(ascii: ":") }) == 1 {
            host = node.prefix { $0 != UInt8(ascii: ":") }
            port = node[host.endIndex...]
        }
        guard port.isEmpty || isPort(port) else { return nil }
        return IPNetwork.addressBytes(String(decoding: host, as: UTF8.self)).flatMap(IPNetwork.text)
    }

    /// A colon, and a number or an obfuscated port (RFC 7239 §6.3).
    private static func isPort(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.first == UInt8(ascii: ":") else { return false }
        let port = text.dropFirst()
        if port.first == UInt8(ascii: "_") { return port.count > 1 }
        return (1...5).contains(port.count) && port.allSatisfy { (0x30...0x39).contains($0) }
    }

    /// What stands between separators that are not quoted, without the white space around it. An empty element is none
    /// (RFC 9110 §5.6.1).
    private static func parts(_ text: RequestText, at separator: UInt8) -> [RequestText] {
        var isQuoted = false
        return text.utf8.split { byte in
            if byte == UInt8(ascii: "\"") { isQuoted.toggle() }
            return byte == separator && !isQuoted
        }
        .map { RequestText(String(Substring($0))).trimmingSpaces }
        .filter { !$0.isEmpty }
    }
}
