// `application/x-www-form-urlencoded`, as the OAuth endpoints accept it (RFC 6749 appendix B), read strictly.
import HTTPTypes
package import Hummingbird

package enum FormError: Error, Sendable, Equatable {
    /// Another content type.
    case otherType
    /// Not percent-encoded UTF-8, or it holds U+0000.
    case malformed
    /// RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
    case repeated(String)
}

package struct FormBody: Sendable {
    private let values: [RequestText: RequestText]

    package init(_ bytes: [UInt8]) throws(FormError) {
        var values: [RequestText: RequestText] = [:]
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decode(parts[0]), let value = Self.decode(parts.count == 2 ? parts[1] : []) else {
                throw .malformed
            }
            guard values[name] == nil else { throw .repeated(name.prefix(bytes: 64).verbatim) }
            values[name] = value
        }
        self.values = values
    }

    /// RFC 6749 §3.2: "Parameters sent without a value MUST be treated as if they were omitted from the request."
    package subscript(name: RequestText) -> RequestText? {
        values[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Decodes `+` and `%XX`; `nil` if the result is not UTF-8 text.
    package static func decode(_ bytes: some Collection<UInt8>) -> RequestText? {
        // Nearly every name and value needs no decoding.
        if bytes.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "%") && $0 != 0 }) {
            return String(validating: bytes, as: UTF8.self).map { RequestText($0) }
        }
        return (try? PercentEncoding.decode(bytes, plusIsSpace: true)).map { RequestText($0) }
    }
}

extension Request {
    /// Throws `FormError`, or `body_too_large`.
    package func formBody(limit: Int) async throws -> FormBody {
        guard mediaType == "application/x-www-form-urlencoded" else { throw FormError.otherType }
        return try FormBody(try await bodyBytes(limit: limit))
    }
}
