// A request's body as bytes, of memory that the request has taken before they come.
package import Hummingbird
import NIOCore

extension Request {
    /// Reads a body of at most `limit` bytes, unpacked too. Throws `unsupported_content_encoding`, `body_too_large`,
    /// `bad_request` or `memory_exhausted`.
    func bodyBytes(limit: Int) async throws -> [UInt8] {
        // Before the body is read: what the head is enough to refuse is refused by it.
        let coding = try ContentCoding(headers)
        let packed = try await receivedBytes(limit: limit)
        guard coding != .identity, !packed.isEmpty else { return packed }
        let scope = RequestScope.current
        // How large a body is shows only when it is unpacked, so the largest that it may be is taken until then.
        let before = scope?.taken ?? 0
        let bound = coding.maxSize(of: packed.count, limit: limit)
        try await scope?.take(upTo: before + RequestScope.cost(ofBody: bound))
        let bytes = try coding.decode(packed, limit: limit)
        scope?.settle(at: before + RequestScope.cost(ofBody: bytes.count))
        return bytes
    }

    /// The same request with its body in memory, and the body as it is sent: at most `limit` bytes. Throws
    /// `body_too_large` or `memory_exhausted`.
    package func buffered(limit: Int) async throws -> (request: Request, body: [UInt8]) {
        let bytes = try await receivedBytes(limit: limit)
        var request = self
        request.body = RequestBody(buffer: ByteBuffer(bytes: bytes))
        return (request, bytes)
    }

    /// The body as it is sent.
    private func receivedBytes(limit: Int) async throws -> [UInt8] {
        let declared = max(0, headers[.contentLength].flatMap { Int($0) } ?? 0)
        guard declared <= limit else { throw APIError(.bodyTooLarge, detail: "at most \(limit) bytes") }
        let scope = RequestScope.current
        try await scope?.take(upTo: RequestScope.cost(ofBody: declared))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(declared)
        for try await part in body {
            guard bytes.count + part.readableBytes <= limit else {
                throw APIError(.bodyTooLarge, detail: "at most \(limit) bytes")
            }
            bytes.append(contentsOf: part.readableBytesView)
            // Of a body whose length was not announced; by steps, since most are small.
            if bytes.count > declared {
                try await scope?.take(upTo: RequestScope.cost(ofBody: (bytes.count | 0xFFFF) + 1))
            }
        }
        return bytes
    }
}

extension RequestScope {
    /// A body is itself, what is read from it, and twice what goes to the database.
    fileprivate static func cost(ofBody count: Int) -> Int { 4 * count }

    /// What a value of a JSON text takes beside its text: an element, with room for its array to grow.
    private static let valueSize = 128

    /// Takes what parsing a body needs: `[[],[],…]` becomes fifty times its size. Throws `body_too_large` for
    /// what needs more than a request may ever take.
    static func takeToParse(_ bytes: [UInt8]) async throws {
        guard let scope = current else { return }
        var values = 1
        for byte in bytes where byte == UInt8(ascii: ",") || byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") {
            values += 1
        }
        let size = bytes.count + values * valueSize
        guard size <= scope.largest else {
            throw APIError(.bodyTooLarge, detail: "it has more values than can be read at once")
        }
        try await scope.take(upTo: size)
    }
}
