// Refuses a pooler that changes the server session under a client from one transaction to the next.
//
// A worker's session holds prepared statements, timeouts and, for the migrator, a lock. All of them belong to one
// server process. A pooler that assigns server processes per transaction (pgbouncer's pool_mode=transaction) or per
// statement would mix up the settings of sessions, without any error.
//
// A pooler does not report its mode, so its behaviour is tested. While two clients are connected, a server process that
// is assigned per session serves only one of them. So both clients ask in turn which process serves them, without
// overlap. A pooler that assigns per transaction gives the second client the process that the first has just released.
// If it assigns the longest idle process first, the first client's process changes instead. Several turns are needed,
// because other clients may come in between.

internal import CLibPQ
internal import Storage

enum PoolerCheck {
    private static let turns = 8

    /// - Throws: `StorageError.unavailable` with the reason.
    static func run(url: String) throws(StorageError) {
        let first = try Connection(url: url, purpose: .inspection)
        let firstProcess = try first.serverProcess()
        // A pooler invents the process number that a client gets when it connects (for cancelling, which the pooler has
        // to route). So a true number means a direct connection.
        if first.announcedProcess == firstProcess { return }
        let second = try Connection(url: url, purpose: .inspection)
        let secondProcess: String
        do throws(StorageError) {
            secondProcess = try second.serverProcess()
        } catch {
            throw .unavailable(reason: "a connection pooler gave no second server connection (\(error))")
        }
        var isLent = firstProcess == secondProcess
        for _ in 0..<turns where !isLent {
            // The first asks twice: otherwise two processes assigned in turn would fit two clients for ever.
            let now = (try first.serverProcess(), try first.serverProcess(), try second.serverProcess())
            isLent = now != (firstProcess, firstProcess, secondProcess)
        }
        guard isLent else { return }
        throw .unavailable(
            reason: """
                a connection pooler lends out server sessions for single transactions (such as pgbouncer with \
                pool_mode=transaction or statement); Tessera needs sessions of its own: connect directly, or through \
                a pool with pool_mode=session
                """
        )
    }
}

extension Connection {
    /// The server process that was announced when the connection opened.
    fileprivate var announcedProcess: String { unsafe "\(PQbackendPID(handle))" }

    /// The server process that serves a query now.
    fileprivate func serverProcess() throws(StorageError) -> String {
        guard let process = try simpleQuery("SELECT pg_backend_pid()") else {
            throw .unavailable(reason: "the server does not tell its process")
        }
        return process
    }
}
