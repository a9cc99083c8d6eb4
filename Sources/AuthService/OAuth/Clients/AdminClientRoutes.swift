// Clients, for admins. A secret appears only in the answer that made it.
import HTTPTypes
import Hummingbird
import ServiceKit

struct AdminClientRoutes: Sendable {
    let clients: Clients

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.get("clients", use: list)
        router.post("clients", use: create)
        router.get("clients/:id", use: get)
        router.patch("clients/:id", use: update)
        router.delete("clients/:id", use: delete)
        router.post("clients/:id/rotate-secret", use: rotateSecret)
    }

    @Sendable private func list(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let clients = try await clients.list()
        return .json(
            JSONWriter.object { writer in
                writer.array("data") { writer in
                    for client in clients { client.write(to: &writer) }
                }
            }
        )
    }

    @Sendable private func create(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        var draft = ClientDraft(id: body.text("id"), name: body.requiredText("name"))
        draft.scopes = body.texts("scopes", count: 0...ClientRules.maxWords) ?? []
        if let audiences = body.texts("audiences", count: 1...ClientRules.maxWords) { draft.audiences = audiences }
        draft.jwks = body.rawObject("jwks", max: ClientRules.maxJWKSBytes)
        draft.allowsTokenEndpointAudience = body.boolean(Self.tokenEndpointSwitch) ?? false
        body.addRemaining(draft.errors())
        try body.finish()
        let made = try await clients.create(draft, actor: caller.userID, from: context.clientInfo(of: request))
        return answer(made, status: .created)
    }

    @Sendable private func get(_ request: Request, context: AuthRequestContext) async throws -> Response {
        guard let client = try await clients.find(context.id()) else { throw APIError(.notFound) }
        return answer(ClientWithSecret(client: client, secret: nil))
    }

    private static let tokenEndpointSwitch = "allow_token_endpoint_audience"

    /// Changes name, scopes, audiences, keys, what its assertions may name, and whether the client is disabled.
    @Sendable private func update(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let id = try context.id()
        var body = try await request.jsonBody(limit: bodyLimit)
        var change = ClientChange()
        change.name = body.text("name")
        change.scopes = body.texts("scopes", count: 0...ClientRules.maxWords)
        change.audiences = body.texts("audiences", count: 1...ClientRules.maxWords)
        if let jwks = body.element("jwks") {
            change.jwks =
                jwks.isNull
                ? .null : body.rawObject("jwks", max: ClientRules.maxJWKSBytes).map { .value($0) } ?? .absent
        }
        change.isDisabled = body.boolean("disabled")
        change.allowsTokenEndpointAudience = body.boolean(Self.tokenEndpointSwitch)
        body.refuseNull("name", "scopes", "audiences", "disabled", Self.tokenEndpointSwitch)
        // What is right depends on what stays as it is. The change is judged again where it is written.
        if let client = try await clients.find(id) { body.addRemaining(change.errors(of: client)) }
        try body.finish()
        let client = try await clients.update(id, change, actor: caller.userID, from: context.clientInfo(of: request))
        return answer(ClientWithSecret(client: client, secret: nil))
    }

    @Sendable private func delete(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        try await clients.delete(try context.id(), actor: caller.userID, from: context.clientInfo(of: request))
        return .noContent()
    }

    @Sendable private func rotateSecret(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        let id = try context.id()
        var body = try await request.optionalJSONBody(limit: bodyLimit)
        let maxSeconds = Clients.maxOverlap.components.seconds
        let overlap = body.integer("overlap_seconds", in: 0...maxSeconds) ?? Clients.overlap.components.seconds
        try body.finish()
        return answer(
            try await clients.rotateSecret(
                of: id,
                overlap: .seconds(overlap),
                actor: caller.userID,
                from: context.clientInfo(of: request)
            )
        )
    }

    private func answer(_ made: ClientWithSecret, status: HTTPResponse.Status = .ok) -> Response {
        var writer = JSONWriter()
        made.client.write(to: &writer, secret: made.secret)
        return .json(writer, status: status)
    }
}

extension ClientError: ClosedError {
    package var answer: any Error {
        switch self {
        case .noSuchClient: APIError(.notFound)
        case .idTaken: APIError(.idTaken)
        case .invalid(let fields): APIError(.validationFailed, fields: fields)
        case .fault(let error): error
        }
    }
}
