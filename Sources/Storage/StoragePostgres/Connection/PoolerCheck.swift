// Refuses a proxy that changes the server session under a client from one transaction to the next.
//
// A worker's session holds prepared statements, limits on waiting and, for the migrator, a lock: all of them belong to
// one server process. A pooler that lends server processes for one transaction (pgbouncer's pool_mode=transaction) or
// one statement would give a worker other sessions' settings and others the worker's, without any error.
//
// No pooler can be asked for its mode, so it is seen at work. While two clients are connected, a server process that is
// theirs for the session serves one of them only. So both ask in turn which process serves them, without overlap: one
// that lends per transaction gives the second client what the first has just let go of, or, when it hands out the
// longest idle first, changes the first client's process. Several turns, because other clients may come in between.

internal import CLibPQ
internal import Storage

enum PoolerCheck {
    private static let turns = 8

    /// - Throws: `StorageError.unavailable` with the reason.
    static func run(url: String) throws(StorageError) {
        let first = try Connection(url: url, purpose: .inspection)
        let firstProcess = try first.serverProcess()
        // A pooler makes up the number that the client got when it connected (it is for cancelling, which the pooler
        // has to route), so a number that is true is a direct connection.
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
            // The first asks twice: two processes that are handed out in turns would else fit two clients for ever.
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
    /// The server process that the connection was told of when it opened.
    fileprivate var announcedProcess: String { unsafe "\(PQbackendPID(handle))" }

    /// The server process that serves a query now.
    fileprivate func serverProcess() throws(StorageError) -> String {
        guard let process = try simpleQuery("SELECT pg_backend_pid()") else {
            throw .unavailable(reason: "the server does not tell its process")
        }
        return process
    }
}
