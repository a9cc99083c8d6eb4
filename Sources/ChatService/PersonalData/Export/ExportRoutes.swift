import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import TesseraVerifierHummingbird

struct ExportRoutes: Sendable {
    let read: @Sendable (_ user: String) async throws -> ExportReader
    let slots: ExportSlots
    let verifier: TokenVerifier
    let blocked: BlockedPrincipals

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group.get("chat/export", use: export)
    }

    @Sendable func export(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let caller = try context.caller
        guard let slot = slots.take(caller.id) else {
            throw APIError.retry(.rateLimited, afterSeconds: Int(slots.limits.writeTimeout.components.seconds))
        }
        let reader = try await read(caller.id)
        let isAuthorized = Reauthorization.of(request, caller.id, verifier: verifier, blocked: blocked)
        let channel = context.channel
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/x-ndjson",
                .cacheControl: "no-store",
                .contentDisposition: "attachment; filename=\"tessera-chat-export.ndjson\"",
            ],
            body: ResponseBody { writer in
                defer { slot.leave() }
                let watch = Task { await slot.watch(channel, isAuthorized: isAuthorized) }
                defer { watch.cancel() }
                try await Self.write(reader, slot, isAuthorized, &writer)
            }
        )
    }

    /// Bytes of one write. A larger piece is split, or its reader would seem not to read.
    private static let maxWriteBytes = 256 << 10

    /// An error ends the connection in the middle: without the trailer the reader knows that it is incomplete.
    @concurrent
    private static func write(
        _ reader: ExportReader,
        _ slot: ExportSlot,
        _ isAuthorized: @Sendable () -> Bool,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        var reader = reader
        while let piece = try await reader.next() {
            // SECURITY: nothing is sent if the token ended during the read.
            guard isAuthorized() else { throw APIError(.userInactive) }
            var buffer = ByteBuffer(bytes: piece)
            while let slice = buffer.readSlice(length: min(buffer.readableBytes, maxWriteBytes)),
                slice.readableBytes > 0
            {
                slot.writeBegins()
                defer { slot.writeEnded(slice.readableBytes) }
                try await writer.write(slice)
            }
        }
        slot.leave()
        try await writer.finish(nil)
    }
}
