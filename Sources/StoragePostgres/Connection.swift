// One libpq connection. Not Sendable: it belongs to the thread that opened it.

internal import CLibPQ
import Storage

/// Why a connection was opened, which decides the settings of its session.
enum ConnectionPurpose: String {
    /// Micro-batches of writes: a row lock that another session holds may not keep the neighbours waiting.
    case write
    /// Read-only by the server's own rule, as SQLite's readers are.
    case read
    /// Long units, units that met a lock, interactive transactions.
    case patient
    /// No limit on waiting: the migration lock is worth waiting for.
    case migration

    var settings: String {
        switch self {
        case .write: "SET statement_timeout = '30s'; SET lock_timeout = '100ms'"
        case .read: "SET statement_timeout = '30s'; SET default_transaction_read_only = on"
        case .patient:
            "SET statement_timeout = '300s'; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'"
        case .migration: "SET statement_timeout = 0; SET lock_timeout = 0"
        }
    }

    /// The longest silence of the server during an exchange: a little more than its own limits.
    var patience: Duration? {
        switch self {
        case .write, .read: .seconds(35)
        case .patient: .seconds(310)
        case .migration: nil
        }
    }
}

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
    /// Set once the connection may not be used any more.
    var isLost = false
    var parameters = ParameterBuffer()
    private var prepared: [Statement: Prepared] = [:]
    private var preparedCount = 0

    /// Connects to the server that a libpq URI or keyword string names, blocking the thread.
    init(url: String, purpose: ConnectionPurpose) throws(StorageError) {
        // SECURITY: libpq quotes a URL that it cannot parse, password included, so its words are not repeated.
        guard Self.canParse(url) else { throw .unavailable(reason: "the database URL cannot be parsed") }
        // What the URL says wins over what stands before it; what stands after it wins over the URL.
        let parameters: [(String, String)] = [
            ("connect_timeout", "5"),
            ("keepalives_idle", "30"),
            ("keepalives_interval", "5"),
            ("keepalives_count", "3"),
            ("tcp_user_timeout", "20000"),
            ("fallback_application_name", "tessera"),
            ("dbname", url),
            ("client_encoding", "UTF8"),
        ]
        let handle = unsafe Self.withCStrings(parameters.map(\.0)) { keywords in
            unsafe Self.withCStrings(parameters.map(\.1)) { values in unsafe PQconnectdbParams(keywords, values, 1) }
        }
        guard let handle = unsafe handle else { throw .unavailable(reason: "out of memory") }
        guard unsafe PQstatus(handle) == CONNECTION_OK else {
            let reason = unsafe Self.firstLine(PQerrorMessage(handle))
            unsafe PQfinish(handle)
            throw .unavailable(reason: reason)
        }
        unsafe self.handle = unsafe handle
        self.purpose = purpose
        // Notices would go to standard error.
        unsafe _ = PQsetNoticeProcessor(handle, { _, _ in }, nil)
        try execute(
            script: "SET TimeZone = 'UTC'; SET default_transaction_isolation = 'read committed'; \(purpose.settings)"
        )
        unsafe _ = PQsetnonblocking(handle, 1)
    }

    deinit {
        unsafe PQfinish(handle)
    }

    /// Executes a script in the simple protocol, blocking; used outside the hot path only.
    func execute(script: String) throws(StorageError) {
        unsafe _ = PQexitPipelineMode(handle)
        let result = unsafe PQexec(handle, script)
        defer { unsafe PQclear(result) }
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return
        default:
            if unsafe PQstatus(handle) != CONNECTION_OK { isLost = true }
            guard let error = unsafe Self.serverError(result) else {
                isLost = true
                throw .unavailable(reason: "the connection was lost")
            }
            throw error.storageError("script")
        }
    }

    /// Whether the server has closed an idle connection, asked before anything is sent on it: what is sent into
    /// a closed connection would have an unknown outcome.
    func isUsable() -> Bool {
        guard !isLost else { return false }
        if unsafe PQconsumeInput(handle) == 0 || PQstatus(handle) != CONNECTION_OK { isLost = true }
        return !isLost
    }

    // MARK: - Prepared statements

    func preparation(of statement: Statement) -> Prepared? { prepared[statement] }

    /// Forgets every prepared statement, because one of them turned out stale.
    func forgetPreparations() { prepared.removeAll() }

    func isPrepared(_ statement: Statement) -> Bool { prepared[statement] != nil }

    /// Prepares statements that this connection does not know yet, all in one flush, each in its own transaction.
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
        // PG_DIAG_SQLSTATE and PG_DIAG_MESSAGE_PRIMARY are character constants, which do not cross into Swift.
        guard let state = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "C"))) else { return nil }
        let sqlState = unsafe String(cString: state)
        var message: String?
        if sqlState.hasPrefix("42"), let text = unsafe PQresultErrorField(result, Int32(UInt8(ascii: "M"))) {
            message = unsafe String(cString: text)
        }
        return ServerError(sqlState: sqlState, message: message)
    }

    private static func canParse(_ url: String) -> Bool {
        let options = unsafe PQconninfoParse(url, nil)
        defer { unsafe PQconninfoFree(options) }
        return unsafe options != nil
    }

    static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
        guard let text = unsafe text else { return "unknown error" }
        return unsafe String(cString: text).split(separator: "\n").first.map(String.init) ?? "unknown error"
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
