// What `tessera dev` makes at its first start, so that there is nothing to configure.
import AuthService
import OpenSSLCrypto

enum DevSecrets {
    private static func path(in folder: String) -> String { "\(folder)/master-key" }

    /// The ring that `dev` made earlier: commands beside it find it too.
    static func existingRing(in folder: String) throws -> MasterKeyRing? {
        guard let text = PrivateFiles.read(path(in: folder)) else { return nil }
        return try Settings.ring(text)
    }

    static func ring(in folder: String) throws -> MasterKeyRing {
        if let ring = try existingRing(in: folder) { return ring }
        try PrivateFiles.makeFolder(folder)
        let text = Base64.encode(RandomSource.system.bytes(32))
        try PrivateFiles.write(text + "\n", to: path(in: folder))
        return try Settings.ring(text)
    }

    // MARK: Chat's client

    private static let chatClientID = "chat"
    private static func chatSecretPath(in folder: String) -> String { "\(folder)/chat-client-secret" }

    /// The secret of chat's client, made where it or its client is missing: a database may be newer than the folder.
    static func chatClient(in folder: String, _ clients: Clients) async throws -> (id: String, secret: String) {
        let known = PrivateFiles.read(chatSecretPath(in: folder))
        let isThere = try await clients.find(chatClientID) != nil
        if isThere, let known { return (chatClientID, known) }
        let made: ClientWithSecret
        if isThere {
            made = try await clients.rotateSecret(of: chatClientID, actor: nil, origin: .commandLine)
        } else {
            let draft = ClientDraft(id: chatClientID, name: "chat", scopes: ["events"])
            made = try await clients.create(draft, actor: nil, origin: .commandLine)
        }
        guard let secret = made.secret?.text else {
            throw StartFailure("the client \(chatClientID) has keys of its own, and tessera dev cannot act for it")
        }
        try PrivateFiles.makeFolder(folder)
        try PrivateFiles.write(secret + "\n", to: chatSecretPath(in: folder))
        return (chatClientID, secret)
    }
}
