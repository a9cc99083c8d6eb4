// The hosts of a libpq URI, and safe defaults for what it leaves open.
//
// libpq's own defaults would send a password to any server that answers (`sslmode=prefer`), and write to the first of
// several hosts. Here a server on another machine must prove its name, and of several hosts the one that takes writes
// is used. The URI wins, then libpq's environment variables (libpq manual, "Environment Variables"): both are set by
// the operator.

internal import CLibPQ
internal import Glibc
package import Storage

/// The hosts of a libpq URI or keyword string.
package struct PostgresEndpoint: Sendable {
    /// libpq's keywords and values for what the operator left open.
    package let defaults: [String: String]
    /// Whether every host is this machine.
    package let isLocal: Bool

    /// - Parameters:
    ///   - url: a libpq URI or keyword string.
    ///   - environment: of this process, where libpq looks for what the URI leaves open.
    ///   - authorities: the file of certificate authorities to trust.
    /// - Throws: `StorageError.unavailable` when libpq cannot read the URI.
    package init(
        url: String,
        environment: [String: String],
        authorities: String = PostgresEndpoint.systemAuthorities
    ) throws(StorageError) {
        let written = try Self.parse(url)
        func setting(_ keyword: String, _ variable: String) -> String? {
            [written[keyword], environment[variable]].lazy.compactMap(\.self).first { !$0.isEmpty }
        }
        let hosts = Self.list(setting("host", "PGHOST"))
        let addresses = Self.list(setting("hostaddr", "PGHOSTADDR"))
        // A service file may name any host, and libpq reads it only when it connects.
        let isElsewhere = setting("service", "PGSERVICE") != nil
        isLocal = !isElsewhere && (hosts + addresses).allSatisfy(Self.isThisMachine)

        var defaults: [String: String] = [:]
        let mode = setting("sslmode", "PGSSLMODE")
        if mode == nil, !isLocal { defaults["sslmode"] = "verify-full" }
        // Only where certificates are verified: with `sslmode=require` the mere presence of the file would turn
        // verification on (libpq manual, "SSL Support"). libpq 15 does not know `sslrootcert=system`.
        let verifies = mode.map { $0.hasPrefix("verify-") } ?? !isLocal
        if verifies, setting("sslrootcert", "PGSSLROOTCERT") == nil { defaults["sslrootcert"] = authorities }
        // For reads too: a standby may lag, and a session that has just been ended must not look alive there.
        if max(hosts.count, addresses.count) > 1, setting("target_session_attrs", "PGTARGETSESSIONATTRS") == nil {
            defaults["target_session_attrs"] = "read-write"
        }
        self.defaults = defaults
    }

    /// The system's certificate authorities on Debian, Fedora or Alpine.
    package static let systemAuthorities: String = {
        let known = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
        return known.first { unsafe access($0, R_OK) == 0 } ?? known[0]
    }()

    /// The database that a URI names, or else libpq's environment; `nil` for the one with the user's name.
    static func database(of url: String, environment: [String: String]) throws(StorageError) -> String? {
        [try parse(url)["dbname"], environment["PGDATABASE"]].lazy.compactMap(\.self).first { !$0.isEmpty }
    }

    /// The settings that the URI itself makes.
    private static func parse(_ url: String) throws(StorageError) -> [String: String] {
        guard let options = unsafe PQconninfoParse(url, nil) else {
            // SECURITY: libpq's message quotes a URL that it cannot parse, password included, so it is not repeated.
            throw .unavailable(reason: "the database URL cannot be parsed")
        }
        defer { unsafe PQconninfoFree(options) }
        var written: [String: String] = [:]
        var index = 0
        while let keyword = unsafe options[index].keyword {
            if let value = unsafe options[index].val {
                unsafe written[String(cString: keyword)] = unsafe String(cString: value)
            }
            index += 1
        }
        return written
    }

    private static func list(_ text: String?) -> [String] {
        text?.split(separator: ",", omittingEmptySubsequences: false).map(String.init) ?? []
    }

    /// An empty host is the socket of this machine, and so is a path or `@name`. SECURITY: any other name counts as
    /// another machine, because the address behind a name may change.
    private static func isThisMachine(_ host: String) -> Bool {
        if host.isEmpty || host.hasPrefix("/") || host.hasPrefix("@") || host.lowercased() == "localhost" {
            return true
        }
        var four = in_addr()
        if unsafe inet_pton(AF_INET, host, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        guard unsafe inet_pton(AF_INET6, host, &six) == 1 else { return false }
        return unsafe withUnsafeBytes(of: &six) { unsafe $0.elementsEqual([UInt8](repeating: 0, count: 15) + [1]) }
    }
}
