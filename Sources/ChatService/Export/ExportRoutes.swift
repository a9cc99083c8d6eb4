// HTTP of the export: one answer, as long as it takes, at the pace of its reader.
import HTTPTypes
import Hummingbird
import NIOCore
import Storage
import WebSupport

struct ExportRoutes: Sendable {
    let database: any SQLDatabase
    let clock: Clock

    func mount(on group: RouterGroup<ChatRequestContext>) {
        group.get("chat/export", use: export)
    }

    @Sendable func export(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        let reader = try await ExportReader(of: try context.caller.id, database: database, at: clock.now())
        return Response(
            status: .ok,
            headers: [
                .contentType: "application/x-ndjson",
                .cacheControl: "no-store",
                .contentDisposition: "attachment; filename=\"tessera-chat-export.ndjson\"",
            ],
            body: ResponseBody { writer in try await Self.write(reader, &writer) }
        )
    }

    /// An error here ends the connection in the middle: the trailer is missing, and the reader knows.
    @concurrent
    private static func write(_ reader: ExportReader, _ writer: inout any ResponseBodyWriter) async throws {
        var reader = reader
        while let piece = try await reader.next() { try await writer.write(ByteBuffer(bytes: piece)) }
        try await writer.finish(nil)
    }
}
