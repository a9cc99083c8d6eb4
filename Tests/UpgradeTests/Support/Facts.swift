// A fixture's JSON, with the names of scripts/make-upgrade-fixture.
import Storage
import TestSupport
import Testing

struct Facts: Decodable, Sendable {
    let commit: String
    let madeAt: String
    let publicUrl: String
    let chatUrl: String
    let masterKey: String
    let accessTokenSeconds: Int64
    let users: [User]
    let tokens: [String: String]
    let refreshTokens: [RefreshToken]
    let cookies: [Cookie]
    let clients: [String: Client]
    let blocked: Blocked
    let repeats: [Repeat]
    let asks: [Ask]
    let chat: Chat
    /// By service and table.
    let rows: [String: [String: Int]]

    struct User: Decodable, Sendable {
        let name: String
        let id: String
        let email: String
        /// Other spellings of the address.
        let spellings: [String]
        let password: String
        let canLogIn: Bool
    }

    struct RefreshToken: Decodable, Sendable {
        let name: String
        let text: String
        let sessionId: String
        /// The code of a refused refresh.
        let code: String?
        /// The successor that the previous program returned, and when.
        let next: String?
        let rotatedAt: String?
    }

    struct Cookie: Decodable, Sendable {
        let name: String
        /// As in the header: name and value.
        let cookie: String
        let sessionId: String
        let userId: String
        let isLive: Bool
    }

    struct Client: Decodable, Sendable {
        let isEnabled: Bool
        let secret: String?
        let previousSecret: String?
        let previousSecretExpiresAt: String?
        /// PKCS#8 in base64, of a client without a secret.
        let privateKey: String?
        let usedAssertion: String?
    }

    /// An account that is blocked after too many wrong passwords.
    struct Blocked: Decodable, Sendable {
        let user: String
        let until: String
    }

    struct Repeat: Decodable, Sendable {
        let user: String
        let path: String
        let body: String
        let key: String
        let answer: JSONValue
    }

    /// A request that changes nothing, and its answer; of a refusal the code alone.
    struct Ask: Decodable, Sendable {
        let service: String
        let method: String
        let path: String
        let token: String?
        let headers: [String: String]?
        let body: String?
        let status: Int
        let answer: JSONValue?
        let answerHeaders: [String: String]?
    }

    struct Chat: Decodable, Sendable {
        let live: String
        let trashed: String
        let reservation: String
        let halfForked: String
        let halfRemoved: String
        let halfErased: Erasure
        /// A user whose deletion at auth has not reached chat.
        let behindCursor: Erasure
        let export: Export
    }

    /// Rows that an erasure has partly removed.
    struct Erasure: Decodable, Sendable {
        let user: String
        let rows: [String: Int]
    }

    struct Export: Decodable, Sendable {
        let user: String
        let lines: [JSONValue]
    }

    func token(_ name: String) throws -> String { try #require(tokens[name], "there is no token of \(name)") }

    func user(_ name: String) throws -> User { try #require(users.first { $0.name == name }, "there is no \(name)") }

    static func instant(_ text: String) throws -> Instant { try #require(Instant(rfc3339: text)) }
}
