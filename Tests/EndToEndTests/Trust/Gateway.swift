// Runs the gateways with the files of docs/gateways, except for the ports. nginx and Apache, whose files are parts of a
// configuration, get a minimal frame.
import AsyncHTTPClient
import Foundation
import NIOCore
import NIOHTTP1
import TestSupport
import Testing

enum Gateway: String, CaseIterable, Sendable {
    case nginx, caddy, haproxy, envoy, apache
    /// The second listener of envoy.yaml, which calls no service.
    case envoyJWT = "envoy jwt_authn"

    /// A client's answer while Tessera is down.
    var statusWithoutTessera: Int {
        switch self {
        case .nginx: 500
        case .caddy: 502
        case .haproxy, .envoy: 503
        case .apache: 401
        case .envoyJWT: 200
        }
    }

    var forwards: Bool { self != .apache && self != .envoyJWT }

    private var file: String {
        switch self {
        case .nginx: "nginx.conf"
        case .caddy: "Caddyfile"
        case .haproxy: "haproxy.cfg"
        case .envoy, .envoyJWT: "envoy.yaml"
        case .apache: "apache.conf"
        }
    }

    func start(_ installation: Installation, servicePort: Int) async throws -> RunningGateway {
        let ports = [
            "8080": installation.authPort, "9000": servicePort, "8000": try FreePort.take(),
            "8001": try FreePort.take(),
        ]
        let folder = installation.folder.appending(path: "gateway")
        try FileManager.default.createDirectory(
            at: folder.appending(path: "temporary"),
            withIntermediateDirectories: true
        )
        let documents = Installation.repository.appending(path: "docs/gateways")
        var seen: Set<String> = []
        for name in [file, "tessera.lua"] {
            let text = try String(contentsOf: documents.appending(path: name), encoding: .utf8)
                // The tests' installation has another public URL than the default.
                .replacing("issuer: http://localhost:", with: "issuer: http://127.0.0.1:")
                // A busy machine may stop auth for two seconds.
                .replacing(/\b2(s|000)\b/) { "20\($0.1)" }
                .replacing(/\b(8080|9000|8000|8001)\b/) { match in
                    if name == file { seen.insert(String(match.1)) }
                    return ports[String(match.1)].map(String.init) ?? ""
                }
            try Data(text.utf8).write(to: folder.appending(path: name))
        }
        try #require(seen.isSuperset(of: ["8080", "9000", "8000"]))

        let port = try #require(ports[self == .envoyJWT ? "8001" : "8000"])
        let process = try await start(in: folder, installation)
        try await eventually("\(rawValue) listens") {
            if let exit = process.exit { throw Ended(exit: exit, output: process.output) }
            return (try? RawConnection(port: port)) != nil
        }
        return RunningGateway(process: process, client: Client(base: "http://127.0.0.1:\(port)"))
    }

    /// Each as one process in the foreground, so that it ends with its identifier.
    private func start(in folder: URL, _ installation: Installation) async throws -> ServerProcess {
        let path = folder.appending(path: file).path
        var environment: [String: String] = [:]
        let executable: URL
        let arguments: [String]
        switch self {
        case .nginx:
            try Data(Self.aroundNginx.utf8).write(to: folder.appending(path: "main.conf"))
            executable = try Self.program("nginx")
            arguments = ["-p", folder.path, "-c", "main.conf", "-e", "stderr"]
        case .caddy:
            environment = ["XDG_DATA_HOME": folder.path, "XDG_CONFIG_HOME": folder.path]
            executable = Installation.python.deletingLastPathComponent().appending(path: "caddy")
            arguments = ["run", "--adapter", "caddyfile", "--config", path]
        case .haproxy:
            executable = try Self.program("haproxy")
            arguments = ["-db", "-f", path]
        case .envoy, .envoyJWT:
            executable = Installation.python.deletingLastPathComponent().appending(path: "envoy")
            arguments = ["--disable-hot-restart", "--concurrency", "1", "-l", "warning", "-c", path]
        case .apache:
            try Data(Self.aroundApache(folder).utf8).write(to: folder.appending(path: "main.conf"))
            environment = ["GATEWAY_SECRET": try await Self.makeClient(installation)]
            executable = try Self.program("apache2")
            arguments = ["-X", "-f", folder.appending(path: "main.conf").path]
        }
        return try ServerProcess(
            executable: executable,
            arguments: arguments,
            environment: environment,
            folder: folder
        )
    }

    private static func makeClient(_ installation: Installation) async throws -> String {
        let output = try await installation.run(
            "clients",
            "create",
            "--id",
            "gateway",
            "--name",
            "Apache",
            "--scope",
            "introspect",
            "--audience",
            "chat"
        )
        return String(try #require(output.firstMatch(of: /secret: (\S+)/)).1)
    }

    /// Debian keeps servers in a folder that is not on every `PATH`.
    private static func program(_ name: String) throws -> URL {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let files = (path.split(separator: ":").map(String.init) + ["/usr/sbin"]).map { "\($0)/\(name)" }
        let found = files.first { FileManager.default.isExecutableFile(atPath: $0) }
        return URL(filePath: try #require(found, "\(name) is not installed: run the tests with `make test`"))
    }

    private static let aroundNginx = """
        daemon off;
        master_process off;
        pid nginx.pid;
        error_log stderr warn;
        events {}
        http {
            access_log off;
            client_body_temp_path temporary;
            proxy_temp_path temporary;
            fastcgi_temp_path temporary;
            uwsgi_temp_path temporary;
            scgi_temp_path temporary;
            include nginx.conf;
        }
        """

    private static func aroundApache(_ folder: URL) -> String {
        let modules = [
            "mpm_event", "authn_core", "authz_core", "authz_user", "setenvif", "headers", "proxy", "proxy_http",
            "auth_openidc",
        ]
        return """
            ServerRoot "\(folder.path)"
            ServerName 127.0.0.1
            PidFile "\(folder.path)/apache.pid"
            DefaultRuntimeDir "\(folder.path)"
            ErrorLog /dev/stderr
            \(modules.map { "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so" }.joined(separator: "\n"))
            User www-data
            Group www-data
            Include apache.conf

            """
    }

    private struct Ended: Error {
        let exit: ServerProcess.Exit
        let output: String
    }
}

struct RunningGateway: Sendable {
    let process: ServerProcess
    let client: Client

    func send(
        _ method: String,
        _ path: String,
        _ headers: [(String, String)] = [],
        body: String? = nil
    ) async throws -> Client.Answer {
        var request = HTTPClientRequest(url: client.base + path)
        request.method = .init(rawValue: method)
        for (name, value) in headers { request.headers.add(name: name, value: value) }
        if let body { request.body = .bytes(ByteBuffer(string: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
        let bytes = try await response.body.collect(upTo: 1 << 20)
        return Client.Answer(status: Int(response.status.code), headers: response.headers, text: String(buffer: bytes))
    }

    func get(_ path: String, token: String) async throws -> Client.Answer {
        try await send("GET", path, [("Authorization", "Bearer \(token)")])
    }
}
