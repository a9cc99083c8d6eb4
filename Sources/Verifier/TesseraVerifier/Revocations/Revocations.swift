// What has been revoked, as far as a token that is still alive could be concerned.
//
// A token lives for minutes. What was revoked longer ago than the longest-lived token cannot meet one any more, so each
// entry is kept for that time from when it came in, and the memory is bounded by what is revoked in a quarter of an
// hour. Keys are the exception: with a stolen one tokens can be made at any time, so its id is kept.

/// A revocation, as the feed tells of it.
package enum Revocation: Sendable, Hashable {
    case session(String)
    /// Tokens of the user below the version, but not those of one session.
    case user(String, minimumVersion: Int64, exceptSession: String?)
    /// Tokens of everybody below the version.
    case everybody(minimumVersion: Int64)
    /// Tokens that a client got before this second.
    case client(String, issuedBefore: Int64)
    case key(String)
}

/// A set of revocations. A value; see `RevocationFeed` for who shares it.
package struct Revocations: Sendable {
    /// What is demanded of a user's tokens: the greatest version that was, and the greatest one that was with another
    /// exception. No more is needed: each session is the exception of at most one of the two.
    private struct Demand: Sendable {
        private var greatest: (version: Int64, exceptSession: String?)
        private var next: (version: Int64, exceptSession: String?)?
        var endsAt: Int64

        init(_ version: Int64, exceptSession: String?, endsAt: Int64) {
            greatest = (version, exceptSession)
            self.endsAt = endsAt
        }

        mutating func add(_ version: Int64, exceptSession: String?) {
            let known = [greatest, next, (version, exceptSession)].compactMap(\.self).sorted { a, b in
                a.version != b.version ? a.version > b.version : a.exceptSession == nil && b.exceptSession != nil
            }
            greatest = known[0]
            next = known.first { $0.exceptSession != known[0].exceptSession }
        }

        func minimum(of session: String) -> Int64 {
            greatest.exceptSession != session ? greatest.version : next?.version ?? .min
        }
    }

    private enum Entry: Sendable {
        case session(String)
        case user(String)
        case client(String)
    }

    /// How long an entry is kept, in seconds.
    package let lifetime: Int64
    private var sessions: [String: Int64] = [:]
    private var users: [String: Demand] = [:]
    private var clients: [String: (issuedBefore: Int64, endsAt: Int64)] = [:]
    private(set) var keys: Set<String> = []
    /// Never forgotten: it is one number.
    private var minimumGlobalVersion: Int64 = .min
    /// Entries by their ends, oldest first; `queue[..<head]` are done with.
    private var queue: [(endsAt: Int64, entry: Entry)] = []
    private var head = 0

    init(lifetime: Int64, keys: Set<String> = []) {
        self.lifetime = lifetime
        self.keys = keys
    }

    /// How many entries there are.
    package var count: Int {
        sessions.count + users.count + clients.count + keys.count + (minimumGlobalVersion > .min ? 1 : 0)
    }

    mutating func add(_ revocation: Revocation, now: Int64) {
        let endsAt = now + lifetime
        switch revocation {
        case .session(let id):
            sessions[id] = endsAt
            queue.append((endsAt, .session(id)))
        case .user(let id, let version, let exception):
            if users[id] != nil {
                users[id]?.add(version, exceptSession: exception)
                users[id]?.endsAt = endsAt
            } else {
                users[id] = Demand(version, exceptSession: exception, endsAt: endsAt)
            }
            queue.append((endsAt, .user(id)))
        case .everybody(let version):
            minimumGlobalVersion = max(minimumGlobalVersion, version)
        case .client(let id, let second):
            clients[id] = (max(second, clients[id]?.issuedBefore ?? .min), endsAt)
            queue.append((endsAt, .client(id)))
        case .key(let id):
            keys.insert(id)
        }
    }

    /// Forgets what no living token could be concerned by.
    mutating func purge(now: Int64) {
        while head < queue.count, queue[head].endsAt <= now {
            switch queue[head].entry {
            case .session(let id): if let end = sessions[id], end <= now { sessions[id] = nil }
            case .user(let id): if let demand = users[id], demand.endsAt <= now { users[id] = nil }
            case .client(let id): if let end = clients[id]?.endsAt, end <= now { clients[id] = nil }
            }
            head += 1
        }
        // Each entry is moved at most once for each time that as many have gone.
        if head > queue.count / 2 {
            queue.removeFirst(head)
            head = 0
        }
    }

    /// Why a token is refused; `nil` when nothing is known against it.
    package func refusal(of claims: AccessTokenClaims, keyID: String) -> VerificationError? {
        // No key of this id is to be trusted, which is how it would be if the issuer had not published it.
        if keys.contains(keyID) { return VerificationError(.unknownKey) }
        if !clients.isEmpty, let client = claims.clientID, let known = clients[client],
            claims.issuedAt < known.issuedBefore
        {
            return VerificationError(.revoked, claim: "client_id")
        }
        // A service's own token has no session and no versions.
        guard let session = claims.sessionID else { return nil }
        if sessions[session] != nil { return VerificationError(.revoked, claim: "sid") }
        if claims.globalVersion ?? .min < minimumGlobalVersion { return VerificationError(.revoked, claim: "gver") }
        if let demand = users[claims.subject], claims.userVersion ?? .min < demand.minimum(of: session) {
            return VerificationError(.stale, claim: "ver")
        }
        return nil
    }
}
