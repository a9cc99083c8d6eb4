// What `tessera dev` makes at its first start, so that there is nothing to configure.
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
}
