// A person's own data as a whole: its erasure, and the receipt.
//
// Mounted outside `BlockedPrincipalsMiddleware`: an erased person may still see the receipt.
import HTTPTypes
import Hummingbird
import ServiceKit

struct DataRoutes: Sendable {
    static let receiptPath = "/v1/chat/data/erasure"

    let erasures: Erasures

    func mount(on group: RouteGroup<ChatRequestContext>) {
        group.delete("chat/data", use: erase)
    }

    /// Behind `ReceiptTokenMiddleware`.
    func mountReceipt(on group: RouteGroup<ChatRequestContext>) {
        group.get("chat/data/erasure", use: receipt)
    }

    @Sendable func erase(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        Self.answer(try await erasures.erase(try context.caller), at: Self.receiptPath)
    }

    @Sendable func receipt(_ request: Request, _ context: ChatRequestContext) async throws -> Response {
        guard let receipt = try await erasures.receipt(of: try context.caller.id) else { throw APIError(.notFound) }
        return .json(JSONWriter.object { receipt.writeMembers(to: &$0) })
    }

    /// 200 when everything is gone, 202 with the receipt's address before.
    static func answer(_ receipt: ErasureReceipt, at path: String) -> Response {
        let body = JSONWriter.object { receipt.writeMembers(to: &$0) }
        return receipt.isCompleted ? .json(body) : .json(body, status: .accepted, headers: [.location: path])
    }
}
