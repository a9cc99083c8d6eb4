package import Foundation

package struct TestCertificate: Sendable {
    package let certificate: URL
    package let key: URL
}

/// An authority made by the openssl program, trusted only by tests that have its certificate.
package struct TestAuthority: Sendable {
    /// For clients (`sslrootcert`).
    package var certificate: URL { own.certificate }
    private let own: TestCertificate
    private let folder: URL

    /// The folder keeps its files.
    package init(in folder: URL, name: String = "authority") async throws {
        self.folder = folder
        own = Self.files(name, in: folder)
        try await Self.openssl(
            ["req", "-x509", "-subj", "/CN=\(name)", "-addext", "basicConstraints=critical,CA:TRUE"]
                + Self.newKey(own) + ["-out", own.certificate.path],
            in: folder
        )
    }

    /// `names`: such as `DNS:localhost` or `IP:127.0.0.1`.
    package func issue(_ name: String, for names: String...) async throws -> TestCertificate {
        let issued = Self.files(name, in: folder)
        let request = folder.appending(path: "\(name).csr").path
        let extensions = folder.appending(path: "\(name).ext")
        try Data("subjectAltName=\(names.joined(separator: ","))\n".utf8).write(to: extensions)
        try await Self.openssl(["req", "-subj", "/CN=\(name)"] + Self.newKey(issued) + ["-out", request], in: folder)
        try await Self.openssl(
            [
                "x509", "-req", "-in", request, "-CA", own.certificate.path, "-CAkey", own.key.path, "-CAcreateserial",
                "-days", "2", "-extfile", extensions.path, "-out", issued.certificate.path,
            ],
            in: folder
        )
        return issued
    }

    private static func files(_ name: String, in folder: URL) -> TestCertificate {
        TestCertificate(
            certificate: folder.appending(path: "\(name).crt"),
            key: folder.appending(path: "\(name).key")
        )
    }

    private static func newKey(_ files: TestCertificate) -> [String] {
        [
            "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout",
            files.key.path,
        ]
    }

    private static func openssl(_ arguments: [String], in folder: URL) async throws {
        try await ServerPrograms.run(["openssl"] + arguments, in: folder)
    }
}

extension PrivateCluster {
    /// The server uses the certificate from its next start.
    package func install(_ certificate: TestCertificate) async throws {
        for (source, name) in [(certificate.certificate, "server.crt"), (certificate.key, "server.key")] {
            let copy = data.appending(path: name)
            try? FileManager.default.removeItem(at: copy)
            try FileManager.default.copyItem(at: source, to: copy)
            // The server refuses a key that others may read.
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: copy.path)
            try await ServerPrograms.giveToServer(copy, in: folder)
        }
        try configure(["ssl": "on", "ssl_cert_file": "'server.crt'", "ssl_key_file": "'server.key'"])
    }
}
