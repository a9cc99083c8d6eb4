// Created at the first start of `tessera dev`.
import AuthService
import OpenSSLCrypto
import ServiceKit

enum DevSecrets {
    private static func path(in folder: String) -> String { "\(folder)/master-key" }

    /// The ring of an earlier `dev`; other commands in the folder find it too.
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

    private static let chatClientID = "chat"

    /// The secret of chat's client, created if it or the client is missing: a database may be newer than the folder.
    static func chatClient(in folder: String, _ clients: Clients) async throws -> (id: String, secret: String) {
        try PrivateFiles.makeFolder(folder)
        let draft = ClientDraft(id: RequestText(chatClientID), name: "chat", scopes: ["events"])
        let file = ClientSecretFile(path: "\(folder)/chat-client-secret")
        return (chatClientID, try await file.provide(draft, clients).secret)
    }
}
