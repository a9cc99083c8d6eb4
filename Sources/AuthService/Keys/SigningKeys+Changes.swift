// How keys change: rotation, retirement, and replacement of keys that are lost. Each change is in the audit log.
import OpenSSLCrypto
import ServiceKit
import Storage

extension SigningKeys {
    /// `actor`: the admin; `nil` for an operator.
    package func rotate(actor: String? = nil, from clientInfo: ClientInfo = .commandLine) async throws(SigningKeyError)
    {
        try await SigningKeyError.catching {
            try await reload()
            try await registerRing()
            let now = clock.now()
            let known = published
            guard let current = known.current, let next = known.next else { throw SigningKeyError.incomplete }
            guard Self.isKnown(next, besides: current, at: now) else {
                throw SigningKeyError.tooYoung
            }
            // A node that cannot sign with it is in no position to decide.
            if let problem = known.comingProblem { throw SigningKeyError.unopened(problem) }
            try await promote(next, for: current, actor: actor, from: clientInfo, at: now)
        }
    }

    /// Removes a key from the JWKS at once. A compromised current key is replaced by the next one in the same
    /// transaction, even if that is too new, so that there is always a signing key.
    package func retire(
        _ kid: String,
        compromised: Bool,
        actor: String? = nil,
        from clientInfo: ClientInfo = .commandLine
    ) async throws(SigningKeyError) {
        try await SigningKeyError.catching {
            try await reload()
            try await registerRing()
            let now = clock.now()
            guard let key = try await list().first(where: { $0.kid == kid && $0.state != "retired" }) else {
                throw SigningKeyError.noSuchKey
            }
            var transaction = Transaction()
            if key.state == "current", key.algorithm == algorithm.rawValue {
                guard compromised, let next = published.next else {
                    throw SigningKeyError.isCurrent
                }
                try addPromotion(of: next, for: key, actor: actor, from: clientInfo, at: now, to: &transaction)
            }
            addRetirement(
                of: key,
                action: compromised ? "key.compromised" : "key.retire",
                actor: actor,
                from: clientInfo,
                at: now,
                to: &transaction
            )
            _ = try await database.run(transaction)
            refuse([kid])
            try await reload()
        }
    }

    /// A command that could not open the current key has not registered its ring yet.
    private func registerRing() async throws {
        if published.problem != nil { try await ring.register() }
    }

    func promote(
        _ next: SigningKeyInfo,
        for current: SigningKeyInfo,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant
    ) async throws {
        var transaction = Transaction()
        try addPromotion(of: next, for: current, actor: actor, from: clientInfo, at: now, to: &transaction)
        _ = try await database.run(transaction)
        try await read()
    }

    /// Promotes the next key and inserts a new one.
    private func addPromotion(
        of next: SigningKeyInfo,
        for current: SigningKeyInfo,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant,
        to transaction: inout Transaction
    ) throws {
        let coming = try NewSigningKey(algorithm, sealedWith: ring.ring)
        transaction.add(SigningKeyStatements.demoteCurrent(of: algorithm, for: next.kid, at: now))
        transaction.add(SigningKeyStatements.promote(next: next.kid, of: algorithm, at: now))
        transaction.add(SigningKeyStatements.insertNext(key: coming, afterPromotionOf: next.kid, at: now))
        transaction.add(events.keyRotated(kid: next.kid, at: now))
        transaction.add(
            audit.entry(
                action: "key.rotate",
                actor: actor,
                ifSigningKey: next.kid,
                becomes: "current",
                from: clientInfo,
                details: .change(
                    before: { writer in
                        writer.field("current", current.kid)
                        writer.field("next", next.kid)
                    },
                    after: { writer in
                        writer.field("current", next.kid)
                        writer.field("next", coming.kid)
                    }
                ),
                at: now
            )
        )
    }

    private func addRetirement(
        of key: SigningKeyInfo,
        action: String,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant,
        to transaction: inout Transaction
    ) {
        transaction.add(SigningKeyStatements.retire(kid: key.kid, at: now))
        transaction.add(events.keyRevoked(kid: key.kid, at: now))
        transaction.add(
            audit.entry(
                action: action,
                actor: actor,
                ifSigningKey: key.kid,
                becomes: "retired",
                from: clientInfo,
                details: .change(
                    before: { $0.field("state", key.state) },
                    after: { $0.field("state", "retired") }
                ),
                at: now
            )
        )
    }

    /// Retires the current and the next key that an entry of the master ring seals, and puts others in their places.
    ///
    /// - Returns: the keys that the transaction retires.
    func addReplacement(
        ofKeysSealedBy keyID: UInt8,
        actor: String?,
        from clientInfo: ClientInfo,
        at now: Instant,
        to transaction: inout Transaction
    ) async throws -> [SigningKeyInfo] {
        let keys = try await list()
        let lost = keys.filter { $0.sealedBy == keyID && ["current", "next"].contains($0.state) }
        var next = keys.first { $0.state == "next" && $0.algorithm == algorithm.rawValue }
        for key in lost.sorted(by: { $0.state > $1.state }) {
            if key.state == "current", key.algorithm == algorithm.rawValue, let next {
                try addPromotion(of: next, for: key, actor: actor, from: clientInfo, at: now, to: &transaction)
            }
            addRetirement(of: key, action: "key.lost", actor: actor, from: clientInfo, at: now, to: &transaction)
            if key.kid == next?.kid { next = nil }
        }
        return lost
    }
}
