// How PostgreSQL's own programs (pg_dump, psql) are told where the database is: by environment variables.
//
// SECURITY: never by an argument, which every process of the machine can read; the environment of a process is open to
// its own user only. libpq reads `PGPASSWORD` and its siblings exactly as it reads the URL (libpq manual, "Environment
// Variables"), so what the URL says is taken apart by libpq itself and handed on under those names.

internal import CLibPQ
package import Storage

package enum PostgresClientEnvironment {
    /// The variables for a libpq URI. Options that have none only tune the connection and are left out.
    package static func variables(of url: String) throws(StorageError) -> [String: String] {
        guard let options = unsafe PQconninfoParse(url, nil) else {
            // SECURITY: libpq quotes a URL that it cannot parse, password included, so its words are not repeated.
            throw .unavailable(reason: "the database URL cannot be parsed")
        }
        defer { unsafe PQconninfoFree(options) }
        var variables: [String: String] = [:]
        var index = 0
        while let keyword = unsafe options[index].keyword {
            let option = unsafe options[index]
            index += 1
            guard let value = unsafe option.val else { continue }
            if let name = unsafe option.envvar {
                unsafe variables[String(cString: name)] = unsafe String(cString: value)
            } else if unsafe String(cString: keyword) == "sslpassword" {
                throw .unavailable(reason: "pg_dump cannot be given an sslpassword: use a key without one")
            }
        }
        return variables
    }
}
