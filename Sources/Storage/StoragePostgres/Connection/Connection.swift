// One libpq connection. Not Sendable: it belongs to the thread that opened it.

internal import CLibPQ
internal import Foundation
internal import Glibc
import Storage

/// A session with the server.
@safe final class Connection {
    /// A statement as this connection knows it.
    final class Prepared {
        let name: String
        /// Columns and their types, known after the first result.
        var shape: (columns: Columns, types: [UInt32])?

        init(name: String) { self.name = name }
    }

    // SAFETY: a PGconn may be used by one thread at a time; the type is not Sendable, and `deinit` frees the handle.
    let handle: OpaquePointer
    let purpose: ConnectionPurpose
    /// The longest silence of the server during an exchange; after it the connection counts as lost.
    let maxWait: Duration?
    let notices = ServerNotices()
    /// Set once the connection may not be used any more.
    var isLost = false
    /// Set when a prepared statement turned out stale in the middle of a transaction.
    var hasStalePlan = false
    var parameters = ParameterBuffer()
    var renewal = PlanRenewal()
    private var prepared: [Statement: Prepared] = [:]
    private var preparedCount = 0

    /// Connects to the server of a libpq URI or keyword string, blocking the thread.
    ///
    /// - Parameters:
    ///   - url: a libpq URI or keyword string.
    ///   - schema: where unqualified names are looked up; `nil` for the server's own search path.
    ///   - database: instead of the one that `url` names.
    ///   - purpose: decides the settings of the session.
    ///   - silence: the longest silence of the server during an exchange.
    /// - Throws: `StorageError.unavailable` when the server cannot be reached or refuses.
    init(
        url: String,
        schema: String? = nil,
        database: String? = nil,
        purpose: ConnectionPurpose,
        silence: Duration = PostgresConfiguration.usualSilence
    ) throws(StorageError) {
        let endpoint = try PostgresEndpoint(url: url, environment: ProcessInfo.processInfo.environment)
        // The URL overrides what comes before it, and is overridden by what comes after it.
        let parameters: [(String, String)] =
            [
                // For each host.
                ("connect_timeout", "5"),
                // If the network is cut, an idle connection is given up after 45 s, and one with data in flight after
                // 20 s.
                ("keepalives_idle", "30"),
                ("keepalives_interval", "5"),
                ("keepalives_count", "3"),
                ("tcp_user_timeout", "20000"),
                ("fallback_application_name", "tessera"),
            ] + endpoint.defaults.map { ($0.key, $0.value) } + [
                ("dbname", url),
                ("client_encoding", "UTF8"),
            ] + (database.map { [("dbname", $0)] } ?? [])
        let handle = unsafe Self.withCStrings(parameters.map(\.0)) { keywords in
            unsafe Self.withCStrings(parameters.map(\.1)) { values in unsafe PQconnectdbParams(keywords, values, 1) }
        }
        guard let handle = unsafe handle else { throw .unavailable(reason: "out of memory") }
        guard unsafe PQstatus(handle) == CONNECTION_OK else {
            let reason = unsafe Self.allLines(PQerrorMessage(handle))
            unsafe PQfinish(handle)
            throw .unavailable(reason: reason)
        }
        // With another encoding, the server's own functions cut text between the bytes of a character.
        if database == nil,
            let encoding = unsafe PQparameterStatus(handle, "server_encoding").map({ unsafe String(cString: $0) }),
            encoding != "UTF8"
        {
            unsafe PQfinish(handle)
            throw .unavailable(reason: "the database's encoding is \(encoding), and must be UTF8")
        }
        unsafe self.handle = unsafe handle
        self.purpose = purpose
        maxWait = purpose.maxWait(silence: silence)
        unsafe notices.listen(on: handle)
        unsafe _ = PQsetnonblocking(handle, 1)
        if purpose == .inspection { return }
        let settings = purpose.settings(silence: silence)
        let path = schema.map { PostgresScript.setSearchPath($0) } ?? ""
        try execute(
            script: "\(path)SET TimeZone = 'UTC'; SET default_transaction_isolation = 'read committed'; \(settings)"
        )
    }

    deinit {
        unsafe PQfinish(handle)
    }

    /// Executes a script in the simple protocol; only outside the hot path.
    func execute(script: String) throws(StorageError) {
        _ = try simpleQuery(script)
    }

    /// Changes how long this session waits for locks. A failure shows at the next use.
    func setLockTimeout(_ duration: String) {
        _ = run([.command("SET lock_timeout = '\(duration)'"), .sync])
    }

    /// Executes a script in the simple protocol and returns the first value of its last result, as text.
    func simpleQuery(_ script: String) throws(StorageError) -> String? {
        unsafe _ = PQexitPipelineMode(handle)
        notices.standbyMayLack = false
        var exchange = Exchange(results: [])
        guard unsafe PQsendQuery(handle, script) == 1 else { throw lose(exchange) }
        let deadline = maxWait.map { ContinuousClock.now + $0 }
        var value: String?
        var refused: ServerError?
        while true {
            if let reason = wait(deadline, &exchange) {
                exchange.lost = reason
                throw lose(exchange)
            }
            guard let result = unsafe PQgetResult(handle) else { break }
            defer { unsafe PQclear(result) }
            switch unsafe PQresultStatus(result) {
            case PGRES_TUPLES_OK where unsafe PQntuples(result) > 0 && PQnfields(result) > 0:
                value = unsafe String(cString: PQgetvalue(result, 0, 0))
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                value = nil
            default:
                guard let error = unsafe Self.serverError(result) else { throw lose(exchange) }
                refused = refused ?? error
            }
        }
        if unsafe PQstatus(handle) != CONNECTION_OK { isLost = true }
        if let refused { throw storageError(refused, "script") }
        try requireReplication()
        return value
    }

    private func lose(_ exchange: Exchange) -> StorageError {
        isLost = true
        return .unavailable(reason: exchange.lost ?? "the connection was lost")
    }

    /// What a server's error means for the caller. An error that every session of this server would get ends the
    /// connection.
    func storageError(_ error: ServerError, _ statement: String) -> StorageError {
        // A read worker is read-only by our choice, so a write in it is our mistake.
        guard error.isReadOnlyServer, purpose != .read else { return error.storageError(statement) }
        isLost = true
        return .unavailable(reason: "the server takes no writes (\(error.sqlState))")
    }

    /// Throws `outcomeUnknown` when the last commit may be missing from the synchronous standby.
    func requireReplication() throws(StorageError) {
        guard notices.standbyMayLack else { return }
        throw .outcomeUnknown(reason: "the wait for the synchronous standby was cancelled")
    }

    /// Whether an idle connection is still open. Asked before anything is sent: what is sent into a closed connection
    /// has an unknown outcome.
    func isUsable() -> Bool {
        // The server's last message comes before the end of the connection, and one read may see only the message.
        while !isLost {
            if unsafe PQconsumeInput(handle) == 0 || PQstatus(handle) != CONNECTION_OK { isLost = true }
            // Parses what was read, for the notices.
            unsafe _ = PQisBusy(handle)
            if notices.sessionEnds { isLost = true }
            var descriptor = pollfd(fd: unsafe PQsocket(handle), events: Int16(POLLIN), revents: 0)
            if unsafe poll(&descriptor, 1, 0) <= 0 { break }
        }
        return !isLost
    }

    // MARK: - Prepared statements

    func preparation(of statement: Statement) -> Prepared? { prepared[statement] }

    /// Forgets every prepared statement, because one of them turned out stale.
    func forgetPreparations() { prepared.removeAll() }

    func isPrepared(_ statement: Statement) -> Bool { prepared[statement] != nil }

    /// Prepares statements that are new to this connection, in one flush, each in its own transaction.
    ///
    /// - Returns: the statements that the server refused, with the reason.
    func prepare(_ missing: Set<Statement>) throws(StorageError) -> [Statement: StorageError] {
        if missing.isEmpty { return [:] }
        let candidates = missing.map { statement in
            preparedCount += 1
            return (statement, Prepared(name: "s\(preparedCount)"))
        }
        let steps = candidates.flatMap { [Exchange.Step.prepare($1.name, $0), .sync] }
        let exchange = run(steps)
        var refused: [Statement: StorageError] = [:]
        for (index, (statement, preparation)) in candidates.enumerated() {
            switch exchange.results[2 * index] {
            case .done: prepared[statement] = preparation
            case .refused(let error): refused[statement] = error.storageError(statement.name)
            case .unreadable(let error): refused[statement] = error
            case .none: throw .unavailable(reason: exchange.lost ?? "a statement could not be prepared")
            }
        }
        return refused
    }

    // MARK: - Reading libpq

    /// The server's error in a result; `nil` when libpq made the result itself because the connection is gone.
    static func serverError(_ result: OpaquePointer?) -> ServerError? {
        // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY are character constants, which Swift does not import.
        guard let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C"))) else { return nil }
        let sqlState = unsafe String(cString: state)
        var message: String?
        if sqlState.hasPrefix("42"), let text = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "M"))) {
            message = unsafe String(cString: text)
        }
        return ServerError(sqlState: sqlState, message: message)
    }

    static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
        guard let text = unsafe text else { return "unknown error" }
        return unsafe String(cString: text).split(separator: "\n").first.map(String.init) ?? "unknown error"
    }

    /// Why no host could be reached: libpq writes a line for each.
    private static func allLines(_ text: UnsafePointer<CChar>?) -> String {
        guard let text = unsafe text else { return "unknown error" }
        return unsafe String(cString: text).split(separator: "\n").joined(separator: "; ")
    }

    /// Lends an array of C strings that ends with a null pointer.
    private static func withCStrings<T>(
        _ strings: [String],
        _ body: (UnsafePointer<UnsafePointer<CChar>?>) -> T
    ) -> T {
        let buffers = strings.map { Array($0.utf8CString) }
        func lend(_ index: Int, _ pointers: [UnsafePointer<CChar>?]) -> T {
            guard index < buffers.count else {
                return unsafe (pointers + [nil]).withUnsafeBufferPointer { all in
                    // The array is never empty: it ends with a null pointer.
                    unsafe body(all.baseAddress.unsafelyUnwrapped)
                }
            }
            return unsafe buffers[index].withUnsafeBufferPointer { bytes in
                unsafe lend(index + 1, pointers + [bytes.baseAddress])
            }
        }
        return unsafe lend(0, [])
    }
}
