// A client whose secret is in a file beside the service that uses it, for installations that create both.
//
// The client's row and the file must match, and either may be missing or older: a new folder, a restored database. This
// creates what is missing. If two processes do so at once, the later secret counts, and the earlier one for the overlap
// of a rotation.
import AuthService
import Foundation
import ServiceKit

struct ClientSecretFile {
    let path: String

    /// Returns the client and its secret, and creates what is missing.
    ///
    /// - Parameters:
    ///   - draft: a client with an id and a secret.
    ///   - clients: auth's.
    /// - Returns: the client, and the secret in the file.
    /// - Throws: `StartFailure` when the existing client has other rights than the draft, or the file cannot be
    ///   written.
    func provide(_ draft: ClientDraft, _ clients: Clients) async throws -> (client: Client, secret: String) {
        let id = draft.id?.verbatim ?? ""
        let made: ClientWithSecret
        if let client = try await clients.find(id) {
            guard client.jwks == nil else {
                throw StartFailure("the client \(id) has keys of its own, and needs no secret")
            }
            guard Set(client.scopes) == Set(draft.scopes.map(\.verbatim)),
                Set(client.audiences) == Set(draft.audiences.map(\.verbatim))
            else {
                throw StartFailure("the client \(id) is there with other scopes or audiences")
            }
            if let known = PrivateFiles.read(path), clients.accepts(RequestText(known), from: client) {
                return (client, known)
            }
            try checkFolder()
            made = try await clients.rotateSecret(of: id, actor: nil, from: .commandLine)
        } else {
            try checkFolder()
            made = try await clients.create(draft, actor: nil, from: .commandLine)
        }
        guard let secret = made.secret?.text else { throw StartFailure("the client \(id) was given no secret") }
        try PrivateFiles.write(secret + "\n", to: path)
        return (made.client, secret)
    }

    /// A secret that could not be written would be lost, and the rotation would drop the one in use.
    private func checkFolder() throws {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        guard FileManager.default.isWritableFile(atPath: folder) else {
            throw StartFailure("\(path) cannot be written")
        }
    }
}
