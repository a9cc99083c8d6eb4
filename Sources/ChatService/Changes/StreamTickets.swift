// Tickets for streams: a browser's `EventSource` sends no header, so a ticket in the address stands for the token.
//
// An address ends up in logs and histories, so a ticket works once, and for 30 seconds. It is 32 random bytes. The
// database has their SHA-256, and the token that asked for the ticket, encrypted with a key that is derived from them:
// neither a reader of the database nor a ticket that was used yields anything. Any node takes a ticket.
//
// The stream that it opens is the token's. It ends with it, as it would with the header.
import OpenSSLCrypto
import ServiceKit
import Storage

struct StreamTickets: Sendable {
    static let lifetime: Duration = .seconds(30)
    /// Unused ones of a person.
    static let maxOpen: Int64 = 20

    let database: any SQLDatabase
    let clock: Clock
    let random: RandomSource

    /// Throws `rate_limited` while too many are unused, and `user_inactive`.
    func issue(for token: String, to caller: Caller) async throws -> String {
        let now = clock.now()
        let secret = random.bytes(Secret.count)
        let opened = try Secret(secret)
        var transaction = PrincipalTransaction(by: caller, at: now)
        transaction.add(StreamTicketStatements.deleteExpired(of: caller.id, at: now))
        let inserted = transaction.add(
            StreamTicketStatements.insert(
                hash: opened.hash,
                owner: caller.id,
                sealed: Base64URL.encode(try opened.ring.seal(Array(token.utf8), associatedData: opened.context)),
                expiresAt: now + Self.lifetime
            )
        )
        guard try await !database.run(transaction)[inserted].isEmpty else {
            throw APIError.retry(.rateLimited, afterSeconds: Int(Self.lifetime.components.seconds))
        }
        return Base64URL.encode(secret)
    }

    /// The token of a ticket, which this uses up. Throws `token_invalid` for one that is unknown, used or expired.
    func use(_ ticket: RequestText) async throws -> String {
        guard ticket.byteCount <= 64, let bytes = Base64URL.decode(ticket.verbatim), bytes.count == Secret.count else {
            throw APIError(.tokenInvalid)
        }
        let opened = try Secret(bytes)
        // One of two uses finds the row.
        let used = try await database.run(StreamTicketStatements.use(hash: opened.hash))
        guard let row = used.first, try row.instant("expires_at") > clock.now(),
            let sealed = Base64URL.decode(try row.text("sealed_token")),
            let token = try? opened.ring.open(sealed, associatedData: opened.context)
        else { throw APIError(.tokenInvalid) }
        return String(decoding: token, as: UTF8.self)
    }

    /// What follows from the bytes of a ticket.
    private struct Secret {
        static let count = 32

        let ring: MasterKeyRing
        let hash: String

        init(_ bytes: [UInt8]) throws(CryptoError) {
            ring = try MasterKeyRing(base64Ring: Base64.encode(bytes))
            hash = Hex.encode(SHA256.digest(bytes))
        }

        var context: [UInt8] { Array("stream_tickets \(hash)".utf8) }
    }
}
