// How PostgreSQL's own programs (pg_dump, psql) find the database: by environment variables.
//
// SECURITY: never by an argument, which every process of the machine can read. Only its own user can read the
// environment of a process. libpq reads `PGPASSWORD` and its siblings exactly as it reads the URL (libpq manual,
// "Environment Variables"), so libpq parses the URL and its parts are passed on under those names.

internal import CLibPQ
internal import Foundation
package import Storage

package enum PostgresClientEnvironment {
    /// The variables for a libpq URI, with what a connection of Tessera adds to it. Options without a variable only
    /// tune the connection and are left out.
    package static func variables(of url: String) throws(StorageError) -> [String: String] {
        // SECURITY: with libpq's own defaults, a program would send the password to any server that answers.
        let defaults = try PostgresEndpoint(url: url, environment: ProcessInfo.processInfo.environment).defaults
        guard let options = unsafe PQconninfoParse(url, nil) else {
            // SECURITY: libpq's message quotes a URL that it cannot parse, password included, so it is not repeated.
            throw .unavailable(reason: "the database URL cannot be parsed")
        }
        defer { unsafe PQconninfoFree(options) }
        var variables: [String: String] = [:]
        var index = 0
        while let keyword = unsafe options[index].keyword {
            let option = unsafe options[index]
            index += 1
            let word = unsafe String(cString: keyword)
            guard let value = unsafe option.val.map({ unsafe String(cString: $0) }) ?? defaults[word] else { continue }
            if let name = unsafe option.envvar {
                unsafe variables[String(cString: name)] = value
            } else if word == "sslpassword" {
                throw .unavailable(reason: "pg_dump cannot be given an sslpassword: use a key without one")
            }
        }
        return variables
    }
}
