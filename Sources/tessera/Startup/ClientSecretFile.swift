// A client whose secret lies in a file beside the service that uses it, for set-ups that make both by themselves.
//
// The client's row and the file have to agree, and either may be gone or older than the other: a new folder, a restored
// database. Whatever is missing is made. Of two that do so at once the later one's secret counts, and the earlier one's for
// the overlap of a rotation.
import AuthService
import Foundation

struct ClientSecretFile {
    let path: String

    /// The client and its secret, made where they are missing.
    ///
    /// - Parameters:
    ///   - draft: of a client with an id and a secret.
    ///   - clients: auth's.
    /// - Returns: the client, and the secret that is in the file.
    /// - Throws: `StartFailure` when a client of this id is there that may do other things than the draft says, or when
    ///   the file cannot be written.
    func provide(_ draft: ClientDraft, _ clients: Clients) async throws -> (client: Client, secret: String) {
        let id = draft.id ?? ""
        let made: ClientWithSecret
        if let client = try await clients.find(id) {
            guard client.jwks == nil else {
                throw StartFailure("the client \(id) has keys of its own, and needs no secret")
            }
            guard Set(client.scopes) == Set(draft.scopes), Set(client.audiences) == Set(draft.audiences) else {
                throw StartFailure("the client \(id) is there with other scopes or audiences")
            }
            if let known = PrivateFiles.read(path), clients.accepts(known, from: client) { return (client, known) }
            try checkFolder()
            made = try await clients.rotateSecret(of: id, actor: nil, origin: .commandLine)
        } else {
            try checkFolder()
            made = try await clients.create(draft, actor: nil, origin: .commandLine)
        }
        guard let secret = made.secret?.text else { throw StartFailure("the client \(id) was given no secret") }
        try PrivateFiles.write(secret + "\n", to: path)
        return (made.client, secret)
    }

    /// A secret that could then not be written would be lost, and with the second of those the one in use.
    private func checkFolder() throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw StartFailure("\(path) cannot be written")
        }
    }
}
