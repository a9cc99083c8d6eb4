// One flush to the server and the answers to it, in libpq's pipeline mode.
//
// The connection is non-blocking and both directions are served together. If a batch fills the socket's send buffer
// while the server fills ours, a program that only writes would wait for ever. This code reports exactly what it saw
// and does not interpret it, because whether a commit happened depends on it.

internal import CLibPQ
internal import Glibc
import Storage

/// The results of steps that were sent together.
struct Exchange {
    enum Step {
        case prepare(String, Statement)
        case execute(Connection.Prepared, BoundStatement)
        /// A statement without parameters or result, such as `BEGIN`.
        case command(String)
        /// Ends a transaction that no `BEGIN` opened: the server commits what came since the last one.
        case sync
    }

    enum StepResult {
        /// The server completed the step; `tag` is the command tag of a `.command`, for example `COMMIT`.
        case done(SQLResult, tag: String)
        case refused(ServerError)
        /// Completed, but a column is of a type that no statement may return, or its text is not UTF-8.
        case unreadable(StorageError)
    }

    /// One for each step, `nil` where no answer came: aborted after an error, or the connection was lost. A sync is
    /// `.done` when it arrived.
    var results: [StepResult?]
    /// An error of the commit itself, after every step had succeeded: a deferred constraint.
    var commitError: ServerError?
    /// Whether everything has left this process, or may have.
    var wasSent = false
    /// Why the connection is unusable, if it is.
    var lost: String?
}

extension Connection {
    /// Sends the steps in one flush and reads every answer. Ends with the connection lost rather than wait longer than
    /// its purpose allows.
    func run(_ steps: [Exchange.Step]) -> Exchange {
        var exchange = Exchange(results: Array(repeating: nil, count: steps.count))
        guard unsafe PQenterPipelineMode(handle) == 1 else { return lose("no pipeline mode", &exchange) }
        for step in steps where !send(step) {
            return lose(unsafe Self.firstLine(PQerrorMessage(handle)), &exchange)
        }
        let deadline = maxWait.map { ContinuousClock.now + $0 }
        for (index, step) in steps.enumerated() {
            let isSync = if case .sync = step { true } else { false }
            if let reason = receive(index, step, isSync: isSync, deadline, &exchange) { return lose(reason, &exchange) }
        }
        return exchange
    }

    private func lose(_ reason: String, _ exchange: inout Exchange) -> Exchange {
        isLost = true
        exchange.lost = reason
        return exchange
    }

    // MARK: - Sending

    private func send(_ step: Exchange.Step) -> Bool {
        switch step {
        case .prepare(let name, let statement):
            let types = statement.parameters.map(TypeOID.of)
            return unsafe PQsendPrepare(handle, name, statement.sql, Int32(types.count), types) == 1
        case .command(let sql):
            return unsafe PQsendQueryParams(handle, sql, 0, nil, nil, nil, nil, 1) == 1
        case .sync:
            return unsafe PQpipelineSync(handle) == 1
        case .execute(let prepared, let bound):
            parameters.encode(bound.values)
            return unsafe parameters.withPointers { count, values, lengths, formats in
                unsafe PQsendQueryPrepared(handle, prepared.name, count, values, lengths, formats, 1) == 1
            }
        }
    }

    // MARK: - Receiving

    /// Reads the answer to one step; returns why the connection is lost, if it is.
    private func receive(
        _ index: Int,
        _ step: Exchange.Step,
        isSync: Bool,
        _ deadline: ContinuousClock.Instant?,
        _ exchange: inout Exchange
    ) -> String? {
        // A sync may be preceded by the commit's error and an end mark; more than that is not the protocol.
        var endMarks = 0
        while true {
            if let reason = wait(deadline, &exchange) { return reason }
            guard let result = unsafe PQgetResult(handle) else {
                if !isSync { return nil }
                endMarks += 1
                if endMarks > 2 { return "the answers do not fit what was sent" }
                continue
            }
            defer { unsafe PQclear(result) }
            switch unsafe PQresultStatus(result) {
            case PGRES_PIPELINE_SYNC:
                guard isSync else { return "the answers do not fit what was sent" }
                exchange.results[index] = .done(SQLResult(rows: [], affected: 0), tag: "")
                return nil
            case PGRES_PIPELINE_ABORTED:
                continue
            case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY:
                exchange.results[index] = unsafe read(result, step)
            default:
                guard let error = unsafe Self.serverError(result) else {
                    return unsafe Self.firstLine(PQerrorMessage(handle))
                }
                if isSync { exchange.commitError = error } else { exchange.results[index] = .refused(error) }
                // A fatal error is the last message of the server, so there is nothing more to wait for.
                if unsafe PQstatus(handle) != CONNECTION_OK { return "the server ended the connection" }
            }
        }
    }

    /// Waits until libpq has a whole answer, and sends what is left meanwhile.
    func wait(_ deadline: ContinuousClock.Instant?, _ exchange: inout Exchange) -> String? {
        while true {
            if !exchange.wasSent {
                switch unsafe PQflush(handle) {
                case 0: exchange.wasSent = true
                case 1: break
                default: return unsafe Self.firstLine(PQerrorMessage(handle))
                }
            }
            if unsafe PQisBusy(handle) == 0 { return nil }
            var descriptor = pollfd(fd: unsafe PQsocket(handle), events: Int16(POLLIN), revents: 0)
            if !exchange.wasSent { descriptor.events |= Int16(POLLOUT) }
            let left = deadline.map { ContinuousClock.now.duration(to: $0).wholeMicroseconds / 1_000 }
            if let left, left <= 0 { return "the server did not answer in time" }
            let ready = unsafe poll(&descriptor, 1, left.map { Int32(clamping: $0 + 1) } ?? -1)
            if ready < 0, errno != EINTR { return "poll failed with \(errno)" }
            guard ready > 0 else { continue }
            // Also readable when the peer is gone: the read then reports why.
            if descriptor.revents & Int16(POLLIN | POLLHUP | POLLERR) != 0, unsafe PQconsumeInput(handle) == 0 {
                // Before it reads, libpq sends what is left. When the read then fails, it does not report how much was
                // sent: the server may have everything and commit it.
                exchange.wasSent = true
                // What arrived before the end may still hold an answer.
                if unsafe PQisBusy(handle) == 0 { return nil }
                return unsafe Self.firstLine(PQerrorMessage(handle))
            }
        }
    }

    private func read(_ result: OpaquePointer, _ step: Exchange.Step) -> Exchange.StepResult {
        guard case .execute(let prepared, _) = step else {
            return .done(SQLResult(rows: [], affected: 0), tag: unsafe String(cString: PQcmdStatus(result)))
        }
        let width = unsafe PQnfields(result)
        guard width > 0 else {
            return .done(SQLResult(rows: [], affected: unsafe Self.number(PQcmdTuples(result))), tag: "")
        }
        let shape = unsafe prepared.shape ?? Self.shape(of: result, width: width)
        prepared.shape = shape
        let count = unsafe PQntuples(result)
        var size = 0
        for row in 0..<count {
            for column in 0..<width { size += Int(unsafe PQgetlength(result, row, column)) }
        }
        var builder = RowBuilder(shape.columns, rows: Int(count), bytes: size)
        for row in 0..<count {
            for column in 0..<width {
                let length = unsafe PQgetlength(result, row, column)
                // Only a value without bytes can be NULL.
                if length == 0, unsafe PQgetisnull(result, row, column) == 1 {
                    builder.appendNull()
                    continue
                }
                let bytes = unsafe UnsafeRawBufferPointer(
                    start: PQgetvalue(result, row, column),
                    count: Int(length)
                )
                guard unsafe BinaryFormat.append(bytes, oid: shape.types[Int(column)], to: &builder) else {
                    return .unreadable(.invalidRow(column: shape.columns.names[Int(column)]))
                }
            }
        }
        return .done(SQLResult(rows: builder.rows(), affected: Int(count)), tag: "")
    }

    /// The digits of a command tag, for example the 3 of `UPDATE 3`; 0 where there are none.
    @unsafe private static func number(_ digits: UnsafePointer<CChar>?) -> Int {
        guard var digit = unsafe digits else { return 0 }
        var value = 0
        while unsafe digit.pointee != 0 {
            value = unsafe value * 10 + Int(digit.pointee) - 48
            unsafe digit += 1
        }
        return value
    }

    private static func shape(of result: OpaquePointer, width: Int32) -> (columns: Columns, types: [UInt32]) {
        let names = (0..<width).map { unsafe PQfname(result, $0).map { unsafe String(cString: $0) } ?? "" }
        return (Columns(names), (0..<width).map { unsafe PQftype(result, $0) })
    }
}
