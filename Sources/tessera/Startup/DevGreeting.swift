// The greeting of `tessera dev`: addresses, and three lines to try.
import AuthService
import Foundation

struct DevGreeting {
    let settings: Settings
    /// The users that this start made.
    let samples: [SampleUser]

    func text() throws -> String {
        let metrics = settings.metrics ?? .metrics
        var lines = [
            "",
            "Tessera \(Tessera.fullVersion)",
            "  auth  \(settings.publicURL)   \(try settings.authDatabase.description)",
            "  chat  \(settings.chatPublicURL)   \(try settings.chatDatabase.description)",
            "  data  \(settings.dataDirectory)",
            "",
            "Open next:",
            "  \(settings.publicURL)/openapi.yaml   every request of both services",
            "  http://\(metrics)/metrics",
        ]
        let credentials = SampleData.credentialsPath(in: settings.dataDirectory)
        if let admin = samples.first(where: { $0.role == .admin }) {
            lines += [
                "",
                "Sample admin, shown this once: \(admin.email)  \(admin.password)",
                "All samples: \(credentials)",
            ]
        }
        if FileManager.default.fileExists(atPath: credentials) {
            lines += ["", "Try (paste line by line):"] + Self.commands(settings, credentials).map { "  \($0)" }
        }
        return (lines + ["", ""]).joined(separator: "\n")
    }

    /// Needs only a shell, curl and sed.
    private static func commands(_ settings: Settings, _ credentials: String) -> [String] {
        let json = "-H 'Content-Type: application/json'"
        let bearer = "-H \"Authorization: Bearer $TOKEN\""
        let admin = #"sed 's/.*"admin":\({[^}]*}\).*/\1/' \#(quoted(credentials))"#
        let token = #"sed 's/.*"access_token":"\([^"]*\).*/\1/'"#
        let body = #"'{"messages":[{"role":"user","content":"Hello"}]}'"#
        return [
            "TOKEN=$(\(admin) | curl -s \(settings.publicURL)/v1/login \(json) -d @- | \(token))",
            "curl -s \(settings.publicURL)/v1/admin/users \(bearer)",
            "curl -s \(settings.chatPublicURL)/v1/conversations \(bearer) \(json) -d \(body)",
        ]
    }

    private static func quoted(_ path: String) -> String {
        "'\(path.replacing("'", with: #"'\''"#))'"
    }
}
