// Takes `X-Request-ID` and `traceparent` from the caller or makes them. The answer and every log line have the id.
import HTTPTypes
package import Hummingbird
import Logging
package import OpenSSLCrypto

package struct RequestIDMiddleware<Context: WebRequestContext>: RouterMiddleware {
    private let random: RandomSource

    package init(random: RandomSource) {
        self.random = random
    }

    package func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        var context = context
        // One draw for both: the generator's cost is per call.
        let bytes = random.bytes(40)
        context.requestID = Self.accepted(request.headers.text(.requestID)) ?? Hex.encode(Array(bytes[..<16]))
        context.logger[metadataKey: "request_id"] = .string(context.requestID)
        var response = try await next(request, context)
        response.headers[.requestID] = context.requestID
        response.headers[.traceparent] = Self.acceptedTrace(request.headers.text(.traceparent)) ?? Self.trace(of: bytes)
        return response
    }

    /// SECURITY: only characters that cannot forge a log line or a header, and at most 128.
    static func accepted(_ id: RequestText?) -> String? {
        guard let id, (1...128).contains(id.byteCount) else { return nil }
        let isPlain = id.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [0x2D, 0x2E, 0x3A, 0x5F].contains(byte)
        }
        return isPlain ? id.verbatim : nil
    }

    /// W3C Trace Context §3.2: version 00, lower-case hex, neither id all zeros.
    static func acceptedTrace(_ trace: RequestText?) -> String? {
        guard let trace else { return nil }
        let parts = trace.pieces(between: "-", maxSplits: 4, omittingEmpty: false)
        guard parts.map(\.byteCount) == [2, 32, 16, 2], parts[0] == "00" else { return nil }
        let isHex = parts.allSatisfy { part in
            part.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        }
        let isZero = parts[1...2].contains { $0.utf8.allSatisfy { $0 == 0x30 } }
        return isHex && !isZero ? trace.verbatim : nil
    }

    private static func trace(of bytes: [UInt8]) -> String {
        "00-\(Hex.encode(Array(bytes[16..<32])))-\(Hex.encode(Array(bytes[32...])))-00"
    }
}
