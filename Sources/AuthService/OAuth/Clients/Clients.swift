// Clients: services that act for themselves. Admins and operators create them. They authenticate with a secret or keys,
// get tokens for their scopes, and may introspect other services' tokens.
//
// A secret is rotated with an overlap, so that both sides need not change at the same moment. Auth refuses a disabled
// or removed client at once, and every service refuses its tokens as soon as the event arrives. A client that is
// enabled again needs new tokens.
import OpenSSLCrypto
package import ServiceKit
package import Storage

package struct ClientWithSecret: Sendable {
    package let client: Client
    package let secret: ClientSecret?
}

package enum ClientError: Error, Sendable {
    case noSuchClient
    case idTaken
    case invalid([FieldError])
    case fault(any Error)
}

package struct Clients: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource
    let events: Events
    let audit: Audit
    private let recent = RecentClients()

    init(database: any SQLDatabase, clock: Clock, random: RandomSource, events: Events, audit: Audit) {
        self.database = database
        self.clock = clock
        self.random = random
        self.events = events
        self.audit = audit
    }

    /// The default lifetime of the previous secret.
    package static let overlap: Duration = .seconds(86_400)
    package static let maxOverlap: Duration = .seconds(90 * 86_400)

    package func create(_ draft: ClientDraft, actor: String?, from clientInfo: ClientInfo) async throws(ClientError)
        -> ClientWithSecret
    {
        try await ClientError.catching {
            let errors = draft.errors()
            guard errors.isEmpty else { throw ClientError.invalid(errors) }
            let now = clock.now()
            let id = draft.id?.verbatim ?? IDGenerator(random).make(at: now)
            let secret = draft.jwks == nil ? ClientSecret(random: random) : nil
            var transaction = Transaction()
            let inserted = transaction.add(ClientStatements.insert(draft: draft, id: id, secret: secret, at: now))
            transaction.add(
                audit.entry(
                    action: "client.create",
                    actor: actor,
                    ifClientChanged: id,
                    marker: now,
                    from: clientInfo,
                    at: now
                )
            )
            guard let row = try await database.run(transaction)[inserted].first else { throw ClientError.idTaken }
            return ClientWithSecret(client: try Client(row), secret: secret)
        }
    }

    package func find(_ id: String) async throws(StorageError) -> Client? {
        guard RowID.isValid(id) else { return nil }
        return try await database.run(ClientStatements.find(id: id)).first.map { row throws(StorageError) in
            try Client(row)
        }
    }

    /// The current secret, or the previous one until its date.
    package func accepts(_ text: RequestText, from client: Client) -> Bool {
        ClientSecret(text: text).map { client.accepts($0, at: clock.now()) } ?? false
    }

    /// At most five seconds old.
    func findRecent(_ id: String) async throws -> Client? {
        let now = clock.now()
        if let known = recent.client(id, at: now) { return known }
        let mark = recent.mark
        guard let client = try await find(id) else { return nil }
        recent.remember(client, readAt: now, mark: mark)
        return client
    }

    /// The client that sent these credentials at most five seconds ago.
    func recent(by credentials: SHA256Digest) -> Client? { recent.caller(credentials, at: clock.now()) }

    func remember(_ credentials: SHA256Digest, of client: Client) {
        recent.remember(credentials, of: client, at: clock.now())
    }

    func forgetRecent(_ id: String) { recent.forget(id) }

    package func list() async throws -> [Client] {
        try await database.run(ClientStatements.list()).rows.map { try Client($0) }
    }

    package func update(_ id: String, _ change: ClientChange, actor: String?, from clientInfo: ClientInfo)
        async throws(ClientError)
        -> Client
    {
        try await ClientError.catching {
            guard let before = try await find(id) else { throw ClientError.noSuchClient }
            let errors = change.errors(of: before)
            guard errors.isEmpty else { throw ClientError.invalid(errors) }
            let now = clock.now()
            let action =
                switch change.isDisabled {
                case true?: "client.disable"
                case false?: "client.enable"
                case nil: "client.update"
                }
            let tokensEnd = Instant(seconds: Events.clientTokensEnd(at: now))
            var transaction = Transaction()
            let updated = transaction.add(
                ClientStatements.update(change: change, of: id, tokensEnd: tokensEnd, at: now)
            )
            transaction.add(events.clientTokensRevoked(client: id, ifDisabledAt: now))
            transaction.add(
                audit.entry(action: action, actor: actor, ifClientChanged: id, marker: now, from: clientInfo, at: now)
            )
            let results = try await database.run(transaction)
            recent.forget(id)
            guard let row = results[updated].first else { throw ClientError.noSuchClient }
            return try Client(row)
        }
    }

    /// The previous secret stays valid for `overlap`; an older one ends.
    package func rotateSecret(
        of id: String,
        overlap: Duration = Self.overlap,
        actor: String?,
        from clientInfo: ClientInfo
    ) async throws(ClientError) -> ClientWithSecret {
        try await ClientError.catching {
            let now = clock.now()
            let secret = ClientSecret(random: random)
            let end: Instant? = overlap > .zero ? now + min(overlap, Self.maxOverlap) : nil
            var transaction = Transaction()
            let rotated = transaction.add(
                ClientStatements.rotateSecret(of: id, to: secret, overlapUntil: end, at: now)
            )
            transaction.add(
                audit.entry(
                    action: "client.rotate_secret",
                    actor: actor,
                    ifClientChanged: id,
                    marker: now,
                    from: clientInfo,
                    at: now
                )
            )
            let results = try await database.run(transaction)
            recent.forget(id)
            guard let row = results[rotated].first else { throw ClientError.noSuchClient }
            return ClientWithSecret(client: try Client(row), secret: secret)
        }
    }

    package func delete(_ id: String, actor: String?, from clientInfo: ClientInfo) async throws(ClientError) {
        try await ClientError.catching {
            let now = clock.now()
            var transaction = Transaction()
            transaction.add(events.clientWillBeDeleted(client: id, at: now))
            transaction.add(
                audit.entry(
                    action: "client.delete",
                    actor: actor,
                    ifClientChanged: id,
                    marker: nil,
                    from: clientInfo,
                    at: now
                )
            )
            let deleted = transaction.add(ClientStatements.delete(id: id))
            let results = try await database.run(transaction)
            recent.forget(id)
            guard results[deleted].affected > 0 else { throw ClientError.noSuchClient }
        }
    }

    /// Remembers the assertion until it has expired everywhere.
    func isFirstUse(ofAssertion jti: String, by client: String, until end: Instant) async throws -> Bool {
        try await database.run(ClientStatements.useAssertion(jti: jti, of: client, until: end)).affected == 1
    }
}
