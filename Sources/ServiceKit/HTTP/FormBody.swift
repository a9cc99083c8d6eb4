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
        var out: [UInt8] = []
        out.reserveCapacity(bytes.count)
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "+"): out.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(digit), let low = iterator.next().flatMap(digit) else {
                    return nil
                }
                out.append(high << 4 | low)
            default: out.append(byte)
            }
        }
        return out.contains(0) ? nil : String(validating: out, as: UTF8.self).map { RequestText($0) }
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension Request {
    /// Throws `FormError`, or `body_too_large`.
    package func formBody(limit: Int) async throws -> FormBody {
        guard mediaType == "application/x-www-form-urlencoded" else { throw FormError.otherType }
        return try FormBody(try await bodyBytes(limit: limit))
    }
}
