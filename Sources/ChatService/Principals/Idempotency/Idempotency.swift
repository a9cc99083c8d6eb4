// `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a creating request that is repeated with its key is
// answered again, and done once.
//
// **The transaction that does the work writes the key's row**, so neither exists without the other.
// `PrincipalTransaction` puts these steps around the writes:
//
//     1. claim    the key, for this attempt's own random `seed`. Another attempt's row stays as it is.
//     2. close    the transaction if the key is not ours: `principals.is_replaying` is TRUE from here on and every write's
//                 `mayWrite` is false. So the writes are the same statements as without a key, and do nothing.
//     …           the writes.
//     3. release  the key if they made nothing: a refusal (404, 409, …) is no result, and may be retried.
//     4. read     the key's attempt: ours (done), another (answered before), or none (refused).
//     5. open     the transaction. The flag is never visible: the principal's row is locked from the first statement on.
//
// Of two concurrent requests the second waits for the first one's lock and then finds its row, so the draft's 409 for a
// request in progress is unnecessary. A key with another request is 422 (draft §2.6).
//
// **The answer is made again, not stored** (a body can have 1 MiB). It follows from the repeated request and the row:
// the moment, the seed of the attempt's ids, and the conversation's last number and head before it. A fork's answer
// follows from other rows too, so the conversation is read as it is now, in the trash or not; once it is gone, so is
// the answer (410). A remaining quota is the current one too.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit
import Storage

struct IdempotentAttempt: Sendable {
    static let lifetime: Duration = .seconds(86_400)

    let key: String
    /// Method and path.
    let route: String
    /// SHA-256 of the body's JSON value: a client that makes its body again may order the members otherwise.
    let requestHash: String
    /// SHA-256 of the body as sent, trimmed: what the program before recorded.
    var bytesHash: String?
    let identity: AttemptIdentity

    /// The result of an earlier attempt. Throws `idempotency_key_reused`.
    func earlier(by caller: Caller, in database: any SQLDatabase) async throws -> IdempotencyRecord? {
        try earlier(try await database.run(IdempotencyStatements.read(attempt: self, of: caller.id)).first)
    }

    /// From a row of `IdempotencyStatements.read`. Throws `idempotency_key_reused` for another request.
    func earlier(_ row: Row?) throws -> IdempotencyRecord? {
        guard let record = try row.map({ row throws in try IdempotencyRecord(row) }),
            record.identity.seed != identity.seed
        else { return nil }
        let isSame = record.requestHash == requestHash || record.requestHash == bytesHash
        guard record.route == route, isSame else {
            throw APIError(.idempotencyKeyReused)
        }
        return record
    }
}

extension IdempotentAttempt {
    /// `nil` for a request without a key. Throws `validation_failed` for a malformed one.
    init?(_ request: Request, body: JSONElement?, at now: Instant, ids: IDGenerator) throws(APIError) {
        guard let key = try IdempotencyKey.read(request.headers) else { return nil }
        self.key = key
        route = "\(request.method.rawValue) \(request.uri.path)"
        requestHash = Hex.encode(SHA256.digest(body?.canonicalBytes ?? []))
        bytesHash = Hex.encode(SHA256.digest(Array((body?.raw ?? "").utf8)))
        identity = AttemptIdentity(seed: ids.name(bytes: 16), at: now)
    }
}

struct AttemptIdentity: Sendable {
    let seed: String
    let at: Instant

    /// Of the row that the request makes itself.
    var ownID: String { id(0) }

    /// Of its further rows, in order.
    var childIDs: () -> String {
        var count = 0
        return {
            count += 1
            return id(count)
        }
    }

    private func id(_ index: Int) -> String {
        let digest = SHA256.digest(Array("\(seed) \(index)".utf8))
        return IDGenerator(RandomSource { count in Array(digest.prefix(count)) }).make(at: at)
    }
}

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

struct Outcome<Value: Sendable>: Sendable {
    let value: Value
    let isReplay: Bool
    /// The request has ids of its own, and what it would make is there.
    var wasThere = false

    /// Of a request that makes something.
    var status: HTTPResponse.Status { wasThere ? .ok : .created }

    /// `Idempotency-Replayed` for a repeated answer.
    var headers: HTTPFields { isReplay ? [.idempotencyReplayed: "true"] : [:] }
}
