// What makes a message none of HTTP/1.1, and the answer to it.
import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypesHTTP1
import OpenSSLCrypto

/// Why a message is refused before any operation sees it.
enum MessageFault: Error, Equatable {
    case badRequest
    case host(String)
    case framing(String)
    case transferCoding
    case version
    case fieldsTooLarge

    /// What the HTTP parser found.
    init(_ error: any Error) {
        switch error as? HTTPParserError {
        case .invalidVersion?: self = .version
        case .headerOverflow?: self = .fieldsTooLarge
        default: self = .badRequest
        }
    }

    private var error: APIError {
        switch self {
        case .badRequest: APIError(.badRequest, detail: "The request is no message of HTTP/1.1.")
        case .host(let detail), .framing(let detail): APIError(.badRequest, detail: detail)
        case .transferCoding: APIError(.unsupportedTransferCoding)
        case .version: APIError(.unsupportedVersion)
        case .fieldsTooLarge: APIError(.fieldsTooLarge)
        }
    }

    /// `application/problem+json` that ends the connection.
    func answer() -> (head: HTTPResponseHead, body: ByteBuffer) {
        let requestID = Hex.encode(RandomSource.system.bytes(16))
        var (response, body) = error.problem(requestID: requestID)
        response.headerFields[.requestID] = requestID
        response.headerFields[.connection] = "close"
        response.headerFields[.contentLength] = String(body.readableBytes)
        return (HTTPResponseHead(response), body)
    }
}

enum MessageRules {
    static func check(_ head: HTTPRequestHead) throws(MessageFault) {
        try checkHost(head)
        try checkTransferCoding(head)
    }

    /// RFC 9112 §3.2: HTTP/1.1 has one `Host`, and a valid one. A gateway and a server that choose different ones
    /// disagree about whom the request is for.
    private static func checkHost(_ head: HTTPRequestHead) throws(MessageFault) {
        let hosts = head.headers["host"]
        guard hosts.count < 2 else { throw .host("The request has more than one Host.") }
        guard let host = hosts.first else {
            guard head.isHTTP10 else { throw .host("HTTP/1.1 needs a Host.") }
            return
        }
        guard !host.isEmpty, host.utf8.allSatisfy(isHostCharacter) else { throw .host("The Host is none.") }
    }

    /// `uri-host [ ":" port ]` of RFC 9110 §7.2, but for the comma, with which a proxy joins two of them.
    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "/"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "@"), UInt8(ascii: "\\"),
            UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "^"),
            UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
            false
        default: (0x21...0x7E).contains(byte)
        }
    }

    /// RFC 9112 §6.1: `chunked`, once, is the one coding that is understood here.
    private static func checkTransferCoding(_ head: HTTPRequestHead) throws(MessageFault) {
        let values = head.headers["transfer-encoding"]
        guard !values.isEmpty else { return }
        guard !head.isHTTP10 else { throw .framing("HTTP/1.0 has no Transfer-Encoding.") }
        guard !head.headers.contains(name: "content-length") else {
            throw .framing("A request has Content-Length or Transfer-Encoding, not both.")
        }
        let codings = values.flatMap { RequestText($0).pieces(between: ",", omittingEmpty: false) }
            .map { $0.trimmingSpaces.keyword ?? "unknown" }
        guard codings.allSatisfy({ $0 == "chunked" || $0.isEmpty }) else { throw .transferCoding }
        guard codings == ["chunked"] else { throw .framing("A request is chunked once.") }
    }
}

extension HTTPRequestHead {
    /// The decoder takes no other major version than 1.
    var isHTTP10: Bool { version.minor == 0 }
}

extension HTTPRequest {
    /// A request as it came over the wire: the target stays what it was, for `RequestTarget` to read.
    init(received head: HTTPRequestHead) throws {
        self.init(
            method: try Method(head.method),
            scheme: "http",
            authority: head.headers["host"].first,
            path: head.uri,
            headerFields: HTTPFields(head.headers, splitCookie: false)
        )
    }
}
