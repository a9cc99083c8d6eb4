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
        let scope = RequestScope.current
        try await scope?.take(upTo: Self.buffers)
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
                // Its rows are counted here, all together: each batch is gone when the next one is read.
                try await Self.write(reader, slot, scope, isAuthorized, &writer)
            }
        )
    }

    /// What the rows that are read ahead and the lines that are made of them take.
    private static let buffers = 4 << 20
    /// What a message takes that is larger than a read: its row, its line, and the piece that is written.
    private static let largeMessage = 48 << 20
    /// An export that has begun waits for memory rather than end without its trailer.
    private static let maxWait: Duration = .seconds(30)

    /// Bytes of one write. A larger piece is split, or its reader would seem not to read.
    private static let maxWriteBytes = 256 << 10

    /// An error ends the connection in the middle: without the trailer the reader knows that it is incomplete.
    @concurrent
    private static func write(
        _ reader: ExportReader,
        _ slot: ExportSlot,
        _ scope: RequestScope?,
        _ isAuthorized: @Sendable () -> Bool,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        var reader = reader
        reader.willReadLargeMessage = {
            guard let scope else { return }
            try await scope.take(upTo: min(largeMessage, scope.largest), within: maxWait)
        }
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
            scope?.settle(at: buffers)
        }
        slot.leave()
        try await writer.finish(nil)
    }
}
