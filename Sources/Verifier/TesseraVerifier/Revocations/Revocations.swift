// The revocations that can still affect a valid token.
//
// A token lives for minutes, so each entry is kept for the lifetime of the longest-lived token. That bounds the memory.
// Keys are kept for good: with a stolen key, tokens can be made at any time.

/// A revocation, as the feed reports it.
package enum Revocation: Sendable, Hashable {
    case session(String)
    /// The user's tokens below the version, except those of one session.
    case user(String, minimumVersion: Int64, exceptSession: String?)
    /// All of the user's tokens: deactivated or deleted.
    case inactiveUser(String)
    /// Reactivated. Tokens of before stay revoked by their version.
    case activeUser(String)
    /// All users' tokens below the version.
    case everybody(minimumVersion: Int64)
    /// Tokens that a client got before this second.
    case client(String, issuedBefore: Int64)
    case key(String)
}

package struct Revocations: Sendable {
    /// The minimum version of a user's tokens: the greatest one, and the greatest one with another excepted session. No
    /// more is needed: each session is the exception of at most one of the two.
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
        case inactiveUser(String)
        case client(String)
    }

    /// In seconds.
    package let lifetime: Int64
    private var sessions: [String: Int64] = [:]
    private var users: [String: Demand] = [:]
    private var inactiveUsers: [String: Int64] = [:]
    private var clients: [String: (issuedBefore: Int64, endsAt: Int64)] = [:]
    private(set) var keys: Set<String> = []
    /// Never forgotten: it is one number.
    private var minimumGlobalVersion: Int64 = .min
    /// Entries by their ends, oldest first; `queue[..<head]` have been removed.
    private var queue: [(endsAt: Int64, entry: Entry)] = []
    private var head = 0

    init(lifetime: Int64, keys: Set<String> = []) {
        self.lifetime = lifetime
        self.keys = keys
    }

    package var count: Int {
        sessions.count + users.count + inactiveUsers.count + clients.count + keys.count
            + (minimumGlobalVersion > .min ? 1 : 0)
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
        case .inactiveUser(let id):
            inactiveUsers[id] = endsAt
            queue.append((endsAt, .inactiveUser(id)))
        case .activeUser(let id):
            inactiveUsers[id] = nil
        case .everybody(let version):
            minimumGlobalVersion = max(minimumGlobalVersion, version)
        case .client(let id, let second):
            clients[id] = (max(second, clients[id]?.issuedBefore ?? .min), endsAt)
            queue.append((endsAt, .client(id)))
        case .key(let id):
            keys.insert(id)
        }
    }

    /// Forgets entries that no valid token can match.
    mutating func purge(now: Int64) {
        while head < queue.count, queue[head].endsAt <= now {
            switch queue[head].entry {
            case .session(let id): if let end = sessions[id], end <= now { sessions[id] = nil }
            case .user(let id): if let demand = users[id], demand.endsAt <= now { users[id] = nil }
            case .inactiveUser(let id): if let end = inactiveUsers[id], end <= now { inactiveUsers[id] = nil }
            case .client(let id): if let end = clients[id]?.endsAt, end <= now { clients[id] = nil }
            }
            head += 1
        }
        // Compacting at half makes the cost of each entry constant.
        if head > queue.count / 2 {
            queue.removeFirst(head)
            head = 0
        }
    }

    /// `nil` if nothing is known against the token.
    package func refusal(of claims: AccessTokenClaims, keyID: String) -> VerificationError? {
        // As if the issuer had not published the key.
        if keys.contains(keyID) { return VerificationError(.unknownKey) }
        if !clients.isEmpty, let client = claims.clientID, let known = clients[client],
            claims.issuedAt < known.issuedBefore
        {
            return VerificationError(.revoked, claim: "client_id")
        }
        // A service's own token has no session and no versions.
        guard let session = claims.sessionID else { return nil }
        // Before the rest: whatever else ended the token, the user gets one verdict.
        if !inactiveUsers.isEmpty, inactiveUsers[claims.subject] != nil {
            return VerificationError(.userInactive, claim: "sub")
        }
        if sessions[session] != nil { return VerificationError(.revoked, claim: "sid") }
        if claims.globalVersion ?? .min < minimumGlobalVersion { return VerificationError(.revoked, claim: "gver") }
        if let demand = users[claims.subject], claims.userVersion ?? .min < demand.minimum(of: session) {
            return VerificationError(.stale, claim: "ver")
        }
        return nil
    }
}
