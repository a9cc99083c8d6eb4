// The two notices of the server that change what is known.
//
// A commit that waits for a synchronous standby can be interrupted (`pg_cancel_backend`). The server then reports
// success, because it has committed, and adds a WARNING: "canceling wait for synchronous replication". If this counted
// as a commit, the transaction would be lost when the standby is promoted. The WARNING has the SQLSTATE of every other
// (01000). Its text follows the server's `lc_messages`, which only a superuser may set. Its source file does not: every
// supported version raises it in `syncrep.c`, and the protocol reports that ("Error and Notice Message Fields": F).
//
// A server that shuts down at once says so to idle sessions (57P01, 57P02) before it closes them. What is sent into
// such a session would have an unknown outcome, so nothing is sent.

internal import CLibPQ

/// Remembers the server's notices. Belongs to one connection and its thread.
final class ServerNotices {
    /// The server gave up waiting for its synchronous standby; set to false before each commit.
    var standbyMayLack = false
    /// The server has announced the end of this session.
    private(set) var sessionEnds = false

    /// Replaces libpq's own notice receiver, which writes to standard error.
    ///
    /// SAFETY: the connection keeps `self` for as long as it keeps the handle, and libpq calls back on the thread that
    /// uses the handle.
    func listen(on handle: OpaquePointer) {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe _ = PQsetNoticeReceiver(
            handle,
            { context, notice in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<ServerNotices>.fromOpaque(context).takeUnretainedValue().receive(notice)
            },
            context
        )
    }

    private func receive(_ notice: OpaquePointer?) {
        // PG_DIAG_SOURCE_FILE and PG_DIAG_SQLSTATE are character constants, which Swift does not import.
        if unsafe Self.field("F", of: notice) == "syncrep.c" { standbyMayLack = true }
        if let state = unsafe Self.field("C", of: notice), state.hasPrefix("57P") { sessionEnds = true }
    }

    private static func field(_ name: Unicode.Scalar, of notice: OpaquePointer?) -> String? {
        unsafe PQresultErrorField(notice, Int32(name.value)).map { unsafe String(cString: $0) }
    }
}
