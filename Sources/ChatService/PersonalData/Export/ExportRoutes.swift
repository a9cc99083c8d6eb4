import HTTPTypes
import Hummingbird
import NIOCore
import ServiceKit
import Storage
import TesseraVerifierHummingbird

struct ExportRoutes: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let places: ExportPlaces
    let verifier: TokenVerifier
    let refused: RefusedPrincipals

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group.get("chat/export", use: export)
    }

    @Sendable func export(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let caller = try context.caller
        guard let place = places.take(caller.id) else {
            throw APIError.retry(.rateLimited, afterSeconds: Int(places.limits.stall.components.seconds))
        }
        let reader = try await ExportReader(of: caller.id, database: database, at: clock.now())
        let isAdmitted = Admission.of(request, caller.id, verifier: verifier, refused: refused)
        let channel = context.channel
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/x-ndjson",
                .cacheControl: "no-store",
                .contentDisposition: "attachment; filename=\"tessera-chat-export.ndjson\"",
            ],
            body: ResponseBody { writer in
                defer { place.leave() }
                let watch = Task { await place.watch(channel, isAdmitted: isAdmitted) }
                defer { watch.cancel() }
                try await Self.write(reader, place, isAdmitted, &writer)
            }
        )
    }

    /// Bytes of one write. A larger piece is split, or its reader would seem not to read.
    private static let most = 256 << 10

    /// An error ends the connection in the middle: without the trailer the reader knows that it is incomplete.
    @concurrent
    private static func write(
        _ reader: ExportReader,
        _ place: ExportPlace,
        _ isAdmitted: @Sendable () -> Bool,
        _ writer: inout any ResponseBodyWriter
    ) async throws {
        var reader = reader
        while let piece = try await reader.next() {
            // SECURITY: nothing is sent if the token ended during the read.
            guard isAdmitted() else { throw APIError(.userInactive) }
            var buffer = ByteBuffer(bytes: piece)
            while let slice = buffer.readSlice(length: min(buffer.readableBytes, most)), slice.readableBytes > 0 {
                place.writeBegins()
                defer { place.writeEnded(slice.readableBytes) }
                try await writer.write(slice)
            }
        }
        place.leave()
        try await writer.finish(nil)
    }
}
