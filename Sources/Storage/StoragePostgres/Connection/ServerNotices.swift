// The two notices of the server that change what is known.
//
// A commit that waits for a synchronous standby can be interrupted (`pg_cancel_backend`). The server then reports
// success, because it has committed, and says in a WARNING that the standby may not have it: "canceling wait for
// synchronous replication". Whoever takes that for a commit loses the transaction if the standby is promoted. The
// WARNING has the SQLSTATE of every other (01000) and its text follows the server's `lc_messages`, which only a
// superuser may set. What no language changes is where it was raised: every version that Tessera supports raises it in
// the server's `syncrep.c`, which the protocol tells ("Error and Notice Message Fields": F).
//
// A server that is shut down at once says so to idle sessions (57P01, 57P02) before it closes them. What is sent into
// such a session would have an unknown outcome, so it is better not sent.

internal import CLibPQ

/// Remembers what the server said besides its answers. Belongs to one connection and its thread.
final class ServerNotices {
    /// The server gave up waiting for its synchronous standby; set to false before each commit.
    var standbyMayLack = false
    /// The server has said that it ends this session.
    private(set) var sessionEnds = false

    /// Listens on a connection instead of libpq's own receiver, which would write to standard error.
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
        // PG_DIAG_SOURCE_FILE and PG_DIAG_SQLSTATE are character constants, which do not cross into Swift.
        if unsafe Self.field("F", of: notice) == "syncrep.c" { standbyMayLack = true }
        if let state = unsafe Self.field("C", of: notice), state.hasPrefix("57P") { sessionEnds = true }
    }

    private static func field(_ name: Unicode.Scalar, of notice: OpaquePointer?) -> String? {
        unsafe PQresultErrorField(notice, Int32(name.value)).map { unsafe String(cString: $0) }
    }
}
