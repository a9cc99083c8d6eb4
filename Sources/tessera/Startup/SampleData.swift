// Sample users and conversations. Passwords are random; only the owner of the data folder can read them.
import AuthService
import ChatService
import Foundation
import OpenSSLCrypto
import ServiceKit

struct SampleUser: Sendable {
    let key: String
    let email: String
    let name: String
    let role: Role
    let password: String

    static func make() -> [SampleUser] {
        [
            ("admin", "Sample Admin", Role.admin), ("premium", "Sample Premium", .premium),
            ("user", "Sample User", .user),
        ].map {
            SampleUser(
                key: $0,
                email: "\($0)@example.com",
                name: $1,
                role: $2,
                password: Base64URL.encode(RandomSource.system.bytes(15))
            )
        }
    }
}

enum SampleData {
    static func credentialsPath(in folder: String) -> String { "\(folder)/dev-credentials.json" }

    static func makeUsers(
        _ auth: AuthService,
        _ samples: [SampleUser] = SampleUser.make()
    ) async throws -> [(user: User, sample: SampleUser)] {
        var made: [(User, SampleUser)] = []
        for sample in samples {
            guard let email = Email(sample.email) else { continue }
            do {
                let signup = Signup(
                    email: email,
                    password: RequestText(sample.password),
                    name: RequestText(sample.name)
                )
                let user = try await auth.passwords.create(signup, role: sample.role, actor: nil, from: .commandLine)
                made.append((user, sample))
            } catch PasswordError.emailTaken {
                continue
            }
        }
        return made
    }

    static func makeConversations(_ chat: ChatService, owner: String) async throws {
        for (title, question, answer) in [
            ("Welcome", "What is Tessera?", "The token that proves who you are."),
            ("Argon2id", "Why does a login take so long?", "So that a million guesses take a million times as long."),
        ] {
            let body = JSONWriter.object { writer in
                writer.field("title", title)
                writer.array("messages") { writer in
                    for (role, content) in [("user", question), ("assistant", answer)] {
                        writer.object {
                            $0.field("role", role)
                            $0.field("content", content)
                        }
                    }
                }
            }
            _ = try await chat.createConversation(ownedBy: owner, JSONElement.parse(body.bytes))
        }
    }

    static func writeCredentials(_ samples: [SampleUser], in folder: String) throws {
        let text = JSONWriter.object { writer in
            for sample in samples {
                writer.key(named: sample.key) { writer in
                    writer.object {
                        $0.field("email", sample.email)
                        $0.field("password", sample.password)
                    }
                }
            }
        }.string
        try PrivateFiles.makeFolder(folder)
        try PrivateFiles.write(text + "\n", to: credentialsPath(in: folder))
    }
}
