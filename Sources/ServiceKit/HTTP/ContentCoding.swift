// How a body is packed (RFC 9110 §8.4). gzip is unpacked within the operation's own limit; everything else is refused
// by name.
import Gzip
import HTTPTypes

enum ContentCoding: Sendable {
    case identity, gzip

    /// How many times its size a body may have once it is unpacked. Text of people packs ten to one at the most, and
    /// JSON of a program fifty to one.
    private static let ratio = 100

    /// Throws `unsupported_content_encoding`.
    init(_ fields: HTTPFields) throws(APIError) {
        let codings = fields.elements(.contentEncoding).map { $0.keyword ?? "" }.filter { $0 != "identity" }
        switch codings {
        case []: self = .identity
        // RFC 9110 §8.4.1.3: the two are one.
        case ["gzip"], ["x-gzip"]: self = .gzip
        // RFC 9110 §15.5.16 and §12.5.3: what would be taken.
        default: throw APIError(.unsupportedContentEncoding, headers: [.acceptEncoding: "gzip"])
        }
    }

    /// How many bytes a body of `count` can have before it was packed.
    func maxSize(of count: Int, limit: Int) -> Int {
        switch self {
        case .identity: count
        case .gzip: min(limit, Gzip.maxSize(of: count, ratio: Self.ratio))
        }
    }

    /// The body as it was before it was packed. Throws `body_too_large` or `bad_request`.
    func decode(_ bytes: [UInt8], limit: Int) throws(APIError) -> [UInt8] {
        guard case .gzip = self, !bytes.isEmpty else { return bytes }
        do throws(GzipError) {
            return try Gzip.unpack(bytes, limit: limit, ratio: Self.ratio)
        } catch {
            switch error {
            case .malformed: throw APIError(.badRequest, detail: "The body is not gzip, as Content-Encoding has it.")
            case .tooLarge: throw APIError(.bodyTooLarge, detail: "at most \(limit) bytes once it is unpacked")
            case .tooDense:
                throw APIError(.bodyTooLarge, detail: "at most \(Self.ratio) times its size once it is unpacked")
            case .tooManyMembers: throw APIError(.bodyTooLarge, detail: "at most \(Gzip.maxMembers) members of gzip")
            case .outOfMemory: throw .retry(.memoryExhausted, afterSeconds: 1)
            }
        }
    }
}
