// The origins that may call a service from a browser, and what it says about others.
import Logging
import Synchronization

/// Exact origins, in the spelling that browsers send.
package struct AllowedOrigins: Sendable {
    private let exact: Set<RequestText>
    private let loopback: Bool

    /// `loopback`: also pages of this machine, at any port, for `tessera dev`.
    package init(_ origins: [String], loopback: Bool = false) {
        exact = Set(origins.map { RequestText($0) })
        self.loopback = loopback
    }

    package var isEmpty: Bool { exact.isEmpty && !loopback }

    package func contains(_ origin: RequestText) -> Bool {
        exact.contains(origin) || loopback && Self.isLoopback(origin)
    }

    /// `http://localhost:3000`, `https://127.0.0.1`, `http://[::1]:8080`.
    ///
    /// SECURITY: the host is taken whole, so `localhost.example` and `127.0.0.1.example` are none.
    static func isLoopback(_ origin: RequestText) -> Bool {
        guard origin.byteCount <= 64,
            let rest = origin.dropping(prefix: "http://") ?? origin.dropping(prefix: "https://")
        else { return false }
        let isBracketed = rest.begins(with: "[")
        let end = rest.utf8.lastIndex(of: UInt8(ascii: isBracketed ? "]" : ":"))
        let host: Substring.UTF8View
        let port: Substring.UTF8View
        if isBracketed {
            guard let end else { return false }
            host = rest.utf8[...end]
            port = rest.utf8[rest.utf8.index(after: end)...]
        } else {
            host = rest.utf8[..<(end ?? rest.utf8.endIndex)]
            port = rest.utf8[(end ?? rest.utf8.endIndex)...]
        }
        let digits = port.dropFirst()
        guard port.isEmpty || port.first == UInt8(ascii: ":") && !digits.isEmpty && digits.count <= 5,
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return false }
        let name = String(Substring(host))
        return name.utf8.elementsEqual("localhost".utf8) || name.utf8.elementsEqual("[::1]".utf8)
            || IPNetwork("127.0.0.0/8")?.contains(name) == true
    }
}

/// Names each refused origin once, so that a missing setting is found in the log.
///
/// SECURITY: any client can send any origin. At most 64 are remembered and named, and only what looks like an origin.
final class RefusedOrigins: Sendable {
    static let limit = 64
    private static let setting = "TESSERA_CORS_ORIGINS"
    private let named = Mutex<Set<RequestText>>([])

    func note(_ origin: RequestText, _ logger: Logger) {
        guard origin.byteCount <= 128, origin.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { return }
        let count = named.withLock { named -> Int? in
            guard named.count < Self.limit, named.insert(origin).inserted else { return nil }
            return named.count
        }
        guard let count else { return }
        logger.warning(
            "a browser's origin is refused, because the setting does not name it",
            metadata: ["origin": .string(origin.verbatim), "setting": .string(Self.setting)]
        )
        if count == Self.limit {
            logger.warning("further refused origins are not named", metadata: ["setting": .string(Self.setting)])
        }
    }
}
