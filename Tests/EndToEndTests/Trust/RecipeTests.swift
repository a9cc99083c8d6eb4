// The code of docs/resource-servers.md, as it stands there, against a running auth.
import Foundation
import Logging
import TesseraVerifier
import TestSupport
import Testing

@Suite("Recipes for resource servers", .needsPrograms)
struct RecipeTests {
    private static let page: String = {
        let file = Installation.repository.appending(path: "docs/resource-servers.md")
        return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    }()

    /// The one block of a language.
    private static func recipe(_ language: String) throws -> String {
        let blocks = page.components(separatedBy: "```\(language)\n").dropFirst()
        try #require(blocks.count == 1, "\(language)")
        let code = try #require(blocks.first?.components(separatedBy: "```").first)
        #expect(code.split(separator: "\n").count <= 10, "a recipe has ten lines")
        return code
    }

    private static func find(_ program: String) -> URL? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
            .map { URL(filePath: String($0)).appending(path: program) }
            .first { FileManager.default.isExecutableFile(atPath: $0.path) }
    }

    @Test("Python")
    func python() async throws {
        try await run("python", file: "recipe.py", [Installation.python.path, "recipe.py"]) { code in
            """
            import json, os, sys, urllib.parse, urllib.request
            \(code)
            claims = user(sys.stdin.read())
            print(claims["sub"] if claims else "refused")
            """
        }
    }

    @Test("Node", .enabled("node is not installed (make test-deps)") { find("node") != nil })
    func node() async throws {
        try await run("js", file: "recipe.mjs", [try #require(Self.find("node")).path, "recipe.mjs"]) { code in
            """
            import { readFileSync } from "node:fs";
            \(code)
            console.log((await user(readFileSync(0, "utf8")))?.sub ?? "refused");
            """
        }
    }

    @Test("Go", .enabled("go is not installed (make test-deps)") { find("go") != nil })
    func go() async throws {
        try await run("go", file: "recipe.go", [try #require(Self.find("go")).path, "run", "recipe.go"]) { code in
            """
            package main

            import (
            \t"encoding/json"
            \t"fmt"
            \t"io"
            \t"net/http"
            \t"net/url"
            \t"os"
            \t"time"
            )

            \(code)
            func main() {
            \ttoken, _ := io.ReadAll(os.Stdin)
            \tclaims, err := user(string(token))
            \tif err != nil {
            \t\tpanic(err)
            \t}
            \tif claims == nil {
            \t\tfmt.Println("refused")
            \t} else {
            \t\tfmt.Println(claims["sub"])
            \t}
            }
            """
        }
    }

    /// Runs a recipe with a good token, a revoked one, a service's one, and with a secret that is wrong.
    private func run(
        _ language: String,
        file: String,
        _ command: [String],
        program: (String) -> String
    ) async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_TOKEN_AUDIENCES": "tessera,chat,billing"])
        let auth = try await installation.startAuth()
        let made = try await installation.makeClient("billing", audience: "billing")
        #expect(!made.contains("warning"), "\(made)")
        let secret = String(try #require(made.firstMatch(of: /secret: (\S+)/)).1)
        let source = installation.folder.appending(path: file)
        try program(try Self.recipe(language)).write(to: source, atomically: true, encoding: .utf8)

        func ask(_ token: String, secret: String) async throws -> (exit: ServerProcess.Exit, output: String) {
            let process = try ServerProcess(
                executable: URL(filePath: command[0]),
                arguments: Array(command.dropFirst()),
                environment: [
                    "TESSERA_URL": installation.auth.base, "CLIENT_SECRET": secret, "GOTOOLCHAIN": "local",
                    "HOME": installation.folder.path, "GOCACHE": installation.folder.appending(path: "go").path,
                ],
                folder: installation.folder,
                input: token
            )
            return (try await process.waitForExit(), process.output.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        let signup = try await installation.auth.signUp("ada@example.com")
        let token = try #require(signup["access_token"].string)
        #expect(try await ask(token, secret: secret) == (.status(0), signup["user"]["id"].string ?? ""))
        let service = try await installation.auth.form(
            "/oauth2/token",
            "grant_type=client_credentials&client_id=billing&client_secret=\(secret)"
        )
        #expect(try await ask(service["access_token"].string ?? "", secret: secret) == (.status(0), "refused"))
        let wrong = try await ask(token, secret: "tcs_wrong")
        #expect(wrong.exit != .status(0) && !wrong.output.contains(signup["user"]["id"].string ?? "-"))
        #expect(try await installation.auth.send("POST", "/v1/logout", token: token).status == 204)
        #expect(try await ask(token, secret: secret) == (.status(0), "refused"))
        try await auth.terminate()
    }

    @Test("Swift")
    func swift() async throws {
        let installation = try await Installation(.sqlite, ["TESSERA_TOKEN_AUDIENCES": "tessera,chat,billing"])
        let auth = try await installation.startAuth()
        let tessera = installation.auth.base
        let secret = try await installation.makeFollower("billing-feed")
        let logger = Logger(label: "recipe") { _ in SwiftLogNoOpLogHandler() }
        // recipe
        let keys = RemoteKeySource(url: "\(tessera)/.well-known/jwks.json", logger: logger)
        let client = ClientCredentials(tokenEndpoint: "\(tessera)/oauth2/token", id: "billing-feed", secret: secret)
        let feed = RevocationFeed(url: "\(tessera)/v1/events", credentials: client, keys: keys, logger: logger)
        let rules = TokenRequirements(issuer: tessera, audience: "billing")
        let verifier = TokenVerifier(requirements: rules, keys: keys, revocations: feed)
        let following = Task { await feed.run() }
        await feed.waitUntilCurrent()
        // end
        defer { following.cancel() }
        let own = try String(contentsOf: URL(filePath: #filePath), encoding: .utf8)
        let compiled = try #require(own.components(separatedBy: "// recipe\n").dropFirst().first)
        let lines = compiled.components(separatedBy: "        // end")[0].split(separator: "\n").map { $0.dropFirst(8) }
        #expect(lines.joined(separator: "\n") + "\n" == (try Self.recipe("swift")), "the page shows what is run here")

        let signup = try await installation.auth.signUp("ada@example.com")
        let token = try #require(signup["access_token"].string)
        let claims = try await verifier.verify(token)
        #expect(claims.subject == signup["user"]["id"].string && claims.isUser)
        #expect(try await installation.auth.send("POST", "/v1/logout", token: token).status == 204)
        try await eventually("the revoked token is refused") {
            do {
                _ = try await verifier.verify(token)
                return false
            } catch let error as VerificationError {
                return error.code == .revoked
            }
        }
        try await auth.terminate()
    }

    @Test("a client for an audience that no user's token has is made with a warning that says what to set")
    func warning() async throws {
        let installation = try await Installation()
        let auth = try await installation.startAuth()
        let made = try await installation.makeClient("b", audience: "billing")
        #expect(made.contains("warning: ") && made.contains("TESSERA_TOKEN_AUDIENCES"), "\(made)")
        let secret = String(try #require(made.firstMatch(of: /secret: (\S+)/)).1)
        // What the warning spares.
        let token = try #require(try await installation.auth.signUp("ada@example.com")["access_token"].string)
        let answer = try await installation.auth.form(
            "/oauth2/introspect",
            "token=\(token)&client_id=b&client_secret=\(secret)"
        )
        #expect(answer.text == #"{"active":false}"#)
        let changed = try await installation.run("clients", "update", "b", "--audience", "chat")
        #expect(!changed.contains("warning"), "\(changed)")
        try await auth.terminate()
    }
}

extension Installation {
    fileprivate func makeClient(_ id: String, audience: String) async throws -> String {
        try await run(
            "clients",
            "create",
            "--id",
            id,
            "--name",
            id,
            "--scope",
            "introspect",
            "--audience",
            audience
        )
    }
}
