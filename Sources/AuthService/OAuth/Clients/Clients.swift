// Clients: services that act for themselves. Admins and operators create them. They authenticate with a secret or keys,
// get tokens for their scopes, and may introspect other services' tokens.
//
// A secret is rotated with an overlap, so that both sides need not change at the same moment. Auth refuses a disabled
// or removed client at once, and every service refuses its tokens as soon as the event arrives. A client that is
// enabled or made again needs new tokens, which it gets at once (ClientEnds.swift).
//
// A change names the version of the row that it was computed from, and is computed again when another came first. So
// the audit row's "before" is what the change replaced.
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
                    details: .client(draft, secretCreatedAt: secret.map { _ in now }),
                    at: now
                )
            )
            guard let row = try await database.run(transaction)[inserted].first else { throw ClientError.idTaken }
            return ClientWithSecret(client: try Client(row), secret: secret)
        }
    }

    package func find(_ id: String) async throws(StorageError) -> Client? {
        guard let client = try await findRow(id), client.deletedAt == nil else { return nil }
        return client
    }

    /// A deleted client too.
    func findRow(_ id: String) async throws(StorageError) -> Client? {
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
        let action =
            switch change.isDisabled {
            case true?: "client.disable"
            case false?: "client.enable"
            case nil: "client.update"
            }
        return try await replace(id, action, actor: actor, from: clientInfo) { before, now in
            let errors = change.errors(of: before)
            guard errors.isEmpty else { throw ClientError.invalid(errors) }
            return before.changed(at: now) { change.apply(to: &$0, at: now) }
        }
    }

    /// The previous secret stays valid for `overlap`; an older one ends.
    package func rotateSecret(
        of id: String,
        overlap: Duration = Self.overlap,
        actor: String?,
        from clientInfo: ClientInfo
    ) async throws(ClientError) -> ClientWithSecret {
        let secret = ClientSecret(random: random)
        let client = try await replace(id, "client.rotate_secret", actor: actor, from: clientInfo) { before, now in
            let overlaps = overlap > .zero && before.secretHash != nil
            return before.changed(at: now) { client in
                client.previousSecretHash = overlaps ? before.secretHash : nil
                client.previousSecretExpiresAt = overlaps ? now + min(overlap, Self.maxOverlap) : nil
                client.secretHash = secret.hash
                client.secretCreatedAt = now
            }
        }
        return ClientWithSecret(client: client, secret: secret)
    }

    /// Its row stays, without credentials, so that none of its tokens comes back with its id.
    package func delete(_ id: String, actor: String?, from clientInfo: ClientInfo) async throws(ClientError) {
        _ = try await replace(id, "client.delete", actor: actor, from: clientInfo) { $0.deleted(at: $1) }
    }

    /// Replaces the client by what `change` makes of it, ends its tokens if that takes something away, and writes the
    /// audit row: all in one transaction.
    private func replace(
        _ id: String,
        _ action: String,
        actor: String?,
        from clientInfo: ClientInfo,
        _ change: (_ before: Client, _ now: Instant) throws -> Client
    ) async throws(ClientError) -> Client {
        try await ClientError.catching {
            try await Optimistic.retry {
                guard let before = try await find(id) else { throw ClientError.noSuchClient }
                let now = clock.now()
                let after = try change(before, now)
                let marker = after.updatedAt
                var transaction = Transaction()
                let replaced = transaction.add(ClientStatements.replace(before: before, with: after))
                let ends = after.tokensValidFrom != before.tokensValidFrom
                if ends, let end = after.tokensValidFrom {
                    transaction.add(
                        events.clientTokensRevoked(client: id, before: end.seconds, ifChangedAt: marker, at: now)
                    )
                    transaction.add(RefreshTokens.deletion(ofClient: id, ifChangedAt: marker))
                }
                transaction.add(
                    audit.entry(
                        action: action,
                        actor: actor,
                        ifClientChanged: id,
                        marker: marker,
                        from: clientInfo,
                        details: .client(before: before, after: after.deletedAt == nil ? after : nil),
                        at: now
                    )
                )
                // A client may have a refresh token of each user.
                let priority: TransactionPriority = ends ? .long : .normal
                let isDone = try await database.run(transaction, priority: priority)[replaced].affected == 1
                recent.forget(id)
                return isDone ? .done(after) : .outdated
            }
        }
    }

    /// Remembers the assertion until it has expired everywhere.
    func isFirstUse(ofAssertion jti: String, by client: String, until end: Instant) async throws -> Bool {
        try await database.run(ClientStatements.useAssertion(jti: jti, of: client, until: end)).affected == 1
    }
}
