// The client's address, as far as it can be trusted.
//
// SECURITY: what a request says of the way that it came is text that anyone can send. It counts only when the peer is a
// configured proxy, and is walked from the right: the first address that is no proxy of ours is the client's. Rivals
// that read the leftmost entry let an attacker choose the bucket in which their guesses are counted.
import HTTPTypes
package import Hummingbird

#if canImport(Glibc)
    import Glibc
#endif

/// An IP address, and the network that rate limits count.
package struct ClientAddress: Sendable, Hashable {
    /// `nil` if the transport has none (a Unix socket, a test).
    package let text: String?
    /// IPv4 /32 or IPv6 /64: a household can use a whole /64.
    package let network: String

    package static let unknown = ClientAddress(text: nil, network: "unknown")

    private init(text: String?, network: String) {
        self.text = text
        self.network = network
    }

    package init(_ text: String) {
        guard let bytes = IPNetwork.addressBytes(text), let text = IPNetwork.text(of: bytes) else {
            self = .unknown
            return
        }
        if bytes.count == 4 {
            self.init(text: text, network: text)
        } else {
            let prefix = bytes.prefix(8).map { String($0, radix: 16) }.joined(separator: ":")
            self.init(text: text, network: "v6:\(prefix)")
        }
    }
}

package struct IPNetwork: Sendable, Hashable {
    private let bytes: [UInt8]
    private let prefixLength: Int

    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Self.addressBytes(String(parts[0])) else { return nil }
        if parts.count == 2 {
            guard let length = Int(parts[1]), (0...bytes.count * 8).contains(length) else { return nil }
            self.prefixLength = length
        } else {
            self.prefixLength = bytes.count * 8
        }
        self.bytes = bytes
    }

    package func contains(_ address: String) -> Bool {
        guard let other = Self.addressBytes(address), other.count == bytes.count else { return false }
        for bit in 0..<prefixLength {
            let mask = UInt8(0x80) >> UInt8(bit % 8)
            if bytes[bit / 8] & mask != other[bit / 8] & mask { return false }
        }
        return true
    }

    /// The one spelling of an address of 4 or 16 bytes: dotted, or as RFC 5952 has it.
    static func text(of bytes: [UInt8]) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        let family = bytes.count == 4 ? AF_INET : AF_INET6
        guard inet_ntop(family, bytes, &buffer, socklen_t(buffer.count)) != nil else { return nil }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// 4 or 16 bytes; 4 for an IPv4 address mapped into IPv6 (`::ffff:a.b.c.d`).
    static func addressBytes(_ text: String) -> [UInt8]? {
        var v4 = in_addr()
        if inet_pton(AF_INET, text, &v4) == 1 {
            return withUnsafeBytes(of: &v4) { Array($0) }
        }
        var v6 = in6_addr()
        guard inet_pton(AF_INET6, text, &v6) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: &v6) { Array($0) }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        return Array(bytes.prefix(12)) == mapped ? Array(bytes.suffix(4)) : bytes
    }
}

package struct ClientAddressMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let trustedProxies: [IPNetwork]

    package init(trustedProxies: [IPNetwork]) {
        self.trustedProxies = trustedProxies
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.clientAddress = Self.client(
            peer: context.peerAddress,
            forwarded: ForwardedHops(request.headers),
            trusted: trustedProxies
        )
        return try await next(request, context)
    }

    static func client(peer: String?, forwarded: ForwardedHops, trusted: [IPNetwork]) -> ClientAddress {
        guard let peer else { return .unknown }
        func walk(_ hops: [String?]) -> String {
            var client = peer
            for hop in hops.reversed() {
                // A proxy that hides where a request came from, or cannot say it, is itself the last address known.
                guard let hop, trusted.contains(where: { $0.contains(client) }) else { break }
                client = hop
            }
            return client
        }
        let clients = Set(forwarded.chains.map(walk))
        // SECURITY: a proxy writes one of the two fields and passes the other on as its client sent it. Which of the
        // two it writes is not known here, so where they disagree neither counts.
        return ClientAddress(clients.count == 1 ? clients.first ?? peer : peer)
    }
}
