// Created at the first start of `tessera dev`.
import AuthService
import OpenSSLCrypto
import ServiceKit

enum DevSecrets {
    private static let masterKey = "master-key"
    private static let chatKey = "chat-key"

    /// The ring of an earlier `dev`; other commands in the folder find it too.
    static func existingRing(in folder: String) throws -> MasterKeyRing? {
        try existingRing(masterKey, in: folder, .masterKey)
    }

    static func ring(in folder: String) throws -> MasterKeyRing { try ring(masterKey, in: folder, .masterKey) }

    /// Chat's own.
    static func chatRing(in folder: String) throws -> MasterKeyRing { try ring(chatKey, in: folder, .chatKey) }

    private static func existingRing(_ file: String, in folder: String, _ key: ConfigurationKey) throws
        -> MasterKeyRing?
    {
        guard let text = PrivateFiles.read("\(folder)/\(file)") else { return nil }
        return try Settings.ring(text, key)
    }

    private static func ring(_ file: String, in folder: String, _ key: ConfigurationKey) throws -> MasterKeyRing {
        if let ring = try existingRing(file, in: folder, key) { return ring }
        try PrivateFiles.makeFolder(folder)
        let text = Base64.encode(RandomSource.system.bytes(32))
        try PrivateFiles.write(text + "\n", to: "\(folder)/\(file)")
        return try Settings.ring(text, key)
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
