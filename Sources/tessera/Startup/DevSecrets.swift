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

    /// The secret of chat's client, made where it or its client is missing: a database may be newer than the folder.
    static func chatClient(in folder: String, _ clients: Clients) async throws -> (id: String, secret: String) {
        try PrivateFiles.makeFolder(folder)
        let draft = ClientDraft(id: chatClientID, name: "chat", scopes: ["events"])
        let file = ClientSecretFile(path: "\(folder)/chat-client-secret")
        return (chatClientID, try await file.provide(draft, clients).secret)
    }
}
