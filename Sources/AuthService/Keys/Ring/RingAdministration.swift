// What an operator sees and ends of the master ring, while it is rolled (docs/master-key.md).
import OpenSSLCrypto
import ServiceKit
package import Storage

package struct RingAdministration: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let registry: RingRegistry
    let keys: SigningKeys
    let audit: Audit

    package func status() async throws(StorageError) -> RingStatus {
        let now = clock.now()
        var transaction = Transaction()
        let entries = transaction.add(RingStatements.entries())
        let nodes = transaction.add(RingStatements.nodes(limit: RingRegistry.maxNodes))
        let tokens = transaction.add(RingStatements.refreshTokens(at: now))
        let results = try await database.run(transaction, priority: .long)
        var derived: [UInt8?: Int] = [:]
        for row in results[tokens].rows {
            let id = try row.optionalInteger("key_id").flatMap { UInt8(exactly: $0) }
            derived[id, default: 0] += try row.int("n")
        }
        let sealed = try await keys.list().filter { ["current", "next"].contains($0.state) }
        return RingStatus(
            entries: try results[entries].rows.map { row throws(StorageError) in
                let entry = try RingEntry(row)
                let use = RingUse(
                    signingKeys: entry.isLiving ? sealed.count { $0.sealedBy == entry.keyID } : 0,
                    refreshTokens: entry.isLiving ? derived[entry.keyID] ?? 0 : 0,
                    unknownTokens: entry.isLiving ? derived[nil] ?? 0 : 0
                )
                return (entry, use)
            },
            nodes: try results[nodes].rows.map { row throws(StorageError) in
                let node = try RingNode(row)
                return (node, node.seenAt + RingRegistry.maxSilence > now)
            }
        )
    }

    /// Ends an entry: nothing that is derived from it or sealed with it is good any more, on any node.
    ///
    /// - Parameters:
    ///   - keyID: of a living entry.
    ///   - losing: whether to end it while it is in use. Its refresh tokens are then refused, and the signing keys that
    ///     it seals are replaced, with the tokens that they signed.
    ///   - actor: the admin; nil for an operator.
    ///   - clientInfo: of the actor.
    /// - Returns: what was lost.
    /// - Throws: `RingError.isPrimary` while a running node makes new tokens with it, `.inUse` unless `losing`.
    @discardableResult
    package func withdraw(
        _ keyID: UInt8,
        losing: Bool,
        actor: String? = nil,
        from clientInfo: ClientInfo = .commandLine
    ) async throws(RingError) -> RingUse {
        try await RingError.catching {
            let status = try await status()
            guard let (entry, use) = status.entries.first(where: { $0.entry.isLiving && $0.entry.keyID == keyID })
            else { throw RingError.noSuchEntry }
            var holders = status.nodes.filter { $0.isRunning && $0.node.primaryID == keyID }.map(\.node.name)
            if entry.isOf(registry.ring.primary) { holders.append("this command") }
            guard holders.isEmpty else { throw RingError.isPrimary(of: holders) }
            guard use.isUnused || losing else { throw RingError.inUse(use) }
            // A command whose ring opens no key has not registered it.
            try await registry.register()
            let now = clock.now()
            var transaction = Transaction()
            let withdrawn = transaction.add(
                RingStatements.withdraw(entry: entry, ifNotPrimarySince: now - RingRegistry.maxSilence, at: now)
            )
            transaction.add(auditEntry(of: entry, use: use, actor: actor, from: clientInfo, at: now))
            let lost = try await keys.addReplacement(
                ofKeysSealedBy: keyID,
                actor: actor,
                from: clientInfo,
                at: now,
                to: &transaction
            )
            let results = try await database.run(transaction)
            keys.refuse(lost.map(\.kid))
            try await keys.reload()
            try await registry.read()
            guard results[withdrawn].affected == 1 else {
                throw RingError.isPrimary(of: ["a node that has just started"])
            }
            return use
        }
    }

    private func auditEntry(
        of entry: RingEntry,
        use: RingUse,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant
    ) -> BoundStatement {
        audit.entry(
            action: "ring.withdraw",
            actor: actor,
            ifRingEntry: entry.keyID,
            fingerprint: entry.fingerprint,
            changedAt: now,
            from: clientInfo,
            details: .change(
                before: { writer in
                    entry.write(state: "registered", to: &writer)
                    writer.field("signing_keys", use.signingKeys)
                    writer.field("refresh_tokens", use.refreshTokens)
                    writer.field("unknown_refresh_tokens", use.unknownTokens)
                },
                after: { entry.write(state: "withdrawn", to: &$0) }
            ),
            at: now
        )
    }
}
