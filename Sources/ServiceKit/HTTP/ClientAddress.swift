// The client's address, as far as it can be trusted.
//
// SECURITY: anyone can send `X-Forwarded-For`. It counts only if the peer is a configured proxy, and is read from the
// right: the first address that is no proxy of ours is the client's. The leftmost entry would let an attacker choose
// the bucket that counts their guesses.
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
        guard let bytes = IPNetwork.addressBytes(text) else {
            self = .unknown
            return
        }
        if bytes.count == 4 {
            // From the bytes: a mapped address (`::ffff:192.0.2.1`) counts as the plain one.
            self.init(text: text, network: bytes.map(String.init).joined(separator: "."))
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
        let forwarded = request.headers.elements(.forwardedFor)
        context.clientAddress = Self.client(peer: context.peerAddress, forwarded: forwarded, trusted: trustedProxies)
        return try await next(request, context)
    }

    /// `hops`: the elements of all `X-Forwarded-For` lines.
    static func client(peer: String?, forwarded hops: [RequestText], trusted: [IPNetwork]) -> ClientAddress {
        guard let peer else { return .unknown }
        var client = peer
        for hop in hops.reversed() {
            guard trusted.contains(where: { $0.contains(client) }) else { break }
            guard IPNetwork.addressBytes(hop.verbatim) != nil else { break }
            client = hop.verbatim
        }
        return ClientAddress(client)
    }
}
