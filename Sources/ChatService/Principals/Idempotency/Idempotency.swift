// `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a creating request that is sent again with its key
// is answered again, and done once.
//
// **The key's row is written by the transaction that does the work.** Neither can be there without the other, whatever is
// killed in between; `PrincipalTransaction` puts the steps around the writes:
//   1. claim    the key, for this attempt's own random `seed`. Another attempt's row stays as it is.
//   2. close    the transaction when the key is not ours: `principals.is_replaying` is TRUE from here on, every write's
//               `mayWrite` is false, and so the writes are the same statements as without a key and do nothing.
//   …           the writes.
//   3. release  the key if they made nothing: a refusal (404, 409, …) is no result, and may be tried again.
//   4. read     whose the key is now: ours (done), another's (answered before), nobody's (refused).
//   5. open     the transaction. Nobody else ever sees the flag: the principal's row is locked from the first statement on.
// Of two requests at once the second waits for the first one's lock and then finds its row, so the draft's 409 for a
// request in progress is never needed. A key that comes with another request is 422, as the draft's §2.6 has it.
//
// **The answer is made again, not stored** (a body can have 8 MiB). It follows from the request, which the caller has
// just repeated, and from what the row keeps: the moment, the seed that all of the attempt's ids follow from, and the
// conversation's last number and head before it. A fork's answer follows from other rows too, so there the
// conversation is read as it is now, in the trash or not; once it is gone for good, so is its answer (410). What remains
// of a quota is told as it is now too.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit
import Storage

/// One attempt at a request that carries a key.
struct IdempotentAttempt: Sendable {
    /// How long an answer is remembered.
    static let lifetime: Duration = .seconds(86_400)

    let key: String
    /// Method and path.
    let route: String
    /// SHA-256 of the body as it was sent, without the white space around it.
    let requestHash: String
    let identity: AttemptIdentity

    /// What an earlier attempt did, looked for before this one begins. Throws `idempotency_key_reused`.
    func earlier(by caller: Caller, in database: any SQLDatabase) async throws -> IdempotencyRecord? {
        try earlier(try await database.run(IdempotencyStatements.read(self, of: caller.id)).first)
    }

    /// What an earlier attempt did, from a row of `IdempotencyStatements.read`. Throws `idempotency_key_reused` when that
    /// was another request.
    func earlier(_ row: Row?) throws -> IdempotencyRecord? {
        guard let record = try row.map({ row throws in try IdempotencyRecord(row) }),
            record.identity.seed != identity.seed
        else { return nil }
        guard record.route == route, record.requestHash == requestHash else {
            throw APIError(.idempotencyKeyReused)
        }
        return record
    }
}

extension IdempotentAttempt {
    /// `nil` for a request without a key. Throws `validation_failed` for a key that is none.
    init?(_ request: Request, body: JSONElement?, at now: Instant, random: RandomSource) throws(APIError) {
        guard let key = try Self.key(request.headers[values: .idempotencyKey]) else { return nil }
        self.key = key
        route = "\(request.method.rawValue) \(request.uri.path)"
        requestHash = Hex.encode(SHA256.digest(Array((body?.raw ?? "").utf8)))
        identity = AttemptIdentity(seed: Hex.encode(random.bytes(16)), at: now)
    }

    /// Draft §2.1: a string of RFC 8941, in quotes; most clients leave the quotes out.
    private static func key(_ values: [String]) throws(APIError) -> String? {
        guard !values.isEmpty else { return nil }
        var text = values.joined(separator: ",")
        if text.count >= 2, text.hasPrefix("\""), text.hasSuffix("\"") { text = String(text.dropFirst().dropLast()) }
        let isPlain = text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
        guard values.count == 1, (1...255).contains(text.utf8.count), isPlain else {
            throw .field("Idempotency-Key", "invalid", "must be 1 to 255 printable ASCII characters")
        }
        return text
    }
}

/// Where an attempt's ids come from.
struct AttemptIdentity: Sendable {
    let seed: String
    let at: Instant

    /// The id of the row that the request makes itself.
    var ownID: String { id(0) }

    /// The ids of the rows that come with it, in order.
    var childIDs: () -> String {
        var count = 0
        return {
            count += 1
            return id(count)
        }
    }

    private func id(_ index: Int) -> String {
        let digest = SHA256.digest(Array("\(seed) \(index)".utf8))
        return UUIDv7.make(
            milliseconds: at.microseconds / 1000,
            random: RandomSource { count in Array(digest.prefix(count)) }
        )
    }
}

/// A row of `idempotency_keys`.
struct IdempotencyRecord: Sendable {
    let route: String
    let requestHash: String
    let identity: AttemptIdentity
    let target: String
    let baseSequence: Int64
    let baseHead: String?

    init(_ row: Row) throws(StorageError) {
        route = try row.text("route")
        requestHash = try row.text("request_hash")
        identity = AttemptIdentity(seed: try row.text("seed"), at: try row.instant("made_at"))
        target = try row.text("target_id")
        baseSequence = try row.integer("base_seq")
        baseHead = try row.optionalText("base_head_id")
    }
}

/// What a request made, now or when it was sent for the first time.
struct Outcome<Value: Sendable>: Sendable {
    let value: Value
    let isReplay: Bool

    /// `Idempotency-Replayed` for an answer that was given before.
    var headers: HTTPFields { isReplay ? [.idempotencyReplayed: "true"] : [:] }
}
