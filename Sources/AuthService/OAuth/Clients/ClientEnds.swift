// Changes of a client that end the tokens it has: deleting and disabling it, and taking a scope or an audience away.
//
// All four are one step in the transaction of the change (decision 0042): `tokens_valid_from` rises, the client's
// refresh tokens are deleted, and the event names the second before which every verifier refuses them. The row
// outlives the client, so what once ended stays ended when an id is used again.
import OpenSSLCrypto
import ServiceKit
import Storage

extension Client {
    /// The row that a change leaves. `updatedAt` is always later than that of the row it was made from.
    func changed(at now: Instant, _ change: (inout Client) -> Void) -> Client {
        var after = self
        change(&after)
        after.updatedAt = max(now, updatedAt + .microseconds(1))
        if after.endsTokens(of: self) {
            after.tokensValidFrom = Instant(seconds: Events.clientTokensEnd(at: now, after: tokensValidFrom?.seconds))
        }
        return after
    }

    /// Whether the tokens of the client as it was are too powerful for what it is.
    private func endsTokens(of before: Client) -> Bool {
        (deletedAt != nil && before.deletedAt == nil) || (isDisabled && !before.isDisabled)
            || !Set(before.scopes).isSubset(of: scopes) || !Set(before.audiences).isSubset(of: audiences)
    }

    /// The row that a deletion leaves. The program before this one knows no deleted rows, and refuses disabled clients.
    func deleted(at now: Instant) -> Client {
        changed(at: now) { client in
            client.deletedAt = now
            client.disabledAt = client.disabledAt ?? now
            client.secretHash = nil
            client.secretCreatedAt = nil
            client.previousSecretHash = nil
            client.previousSecretExpiresAt = nil
            client.jwks = nil
        }
    }

    /// SECURITY: what an auditor compares. Keys are named by a digest of the public set, secrets by their dates alone.
    func writeAudit(to writer: inout JSONWriter) {
        writer.field("name", name)
        writer.field("scopes", scopes)
        writer.field("audiences", audiences)
        writer.field("jwks_sha256", jwks.map(ClientKeys.digest))
        writer.field("allow_token_endpoint_audience", allowsTokenEndpointAudience)
        writer.field("secret_created_at", secretCreatedAt)
        writer.field("previous_secret_expires_at", previousSecretExpiresAt)
        writer.field("disabled_at", disabledAt)
        writer.field("tokens_valid_from", tokensValidFrom)
    }
}

extension ClientKeys {
    static func digest(_ jwks: String) -> String { Hex.encode(SHA256.digest(Array(jwks.utf8))) }
}

extension AuditDetails {
    /// A new client.
    static func client(_ draft: ClientDraft, secretCreatedAt: Instant?) -> AuditDetails {
        .change(before: nil) { writer in
            writer.field("name", draft.name)
            writer.field("scopes", draft.scopes.map(\.verbatim))
            writer.field("audiences", draft.audiences.map(\.verbatim))
            writer.field("jwks_sha256", draft.jwks.map(ClientKeys.digest))
            writer.field("allow_token_endpoint_audience", draft.allowsTokenEndpointAudience)
            writer.field("secret_created_at", secretCreatedAt)
        }
    }

    static func client(before: Client?, after: Client?) -> AuditDetails {
        .change(
            before: before.map { client in { client.writeAudit(to: &$0) } },
            after: after.map { client in { client.writeAudit(to: &$0) } }
        )
    }
}
