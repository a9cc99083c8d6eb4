// The one notice of the server that changes what a commit means.
//
// A commit that waits for a synchronous standby can be interrupted (`pg_cancel_backend`). The server then reports
// success, because it has committed, and says in a WARNING that the standby may not have it: "canceling wait for
// synchronous replication". Whoever takes that for a commit loses the unit if the standby is promoted.
//
// The WARNING has the SQLSTATE of every other (01000) and its text follows the server's `lc_messages`, which only a
// superuser may set. What no language changes is where it was raised: every version that Tessera supports raises it in
// the server's `syncrep.c`, which the protocol tells ("Error and Notice Message Fields": F).

internal import CLibPQ

/// Remembers whether the server gave up waiting for its standby. Belongs to one connection and its thread.
final class ReplicationNotice {
    var wasSeen = false

    /// Listens on a connection instead of libpq's own receiver, which would write to standard error.
    ///
    /// SAFETY: the connection keeps `self` for as long as it keeps the handle, and libpq calls back on the thread that
    /// uses the handle.
    func listen(on handle: OpaquePointer) {
        let context = unsafe Unmanaged.passUnretained(self).toOpaque()
        unsafe _ = PQsetNoticeReceiver(
            handle,
            { context, notice in
                guard let context = unsafe context, unsafe ReplicationNotice.isRaised(in: notice) else { return }
                unsafe Unmanaged<ReplicationNotice>.fromOpaque(context).takeUnretainedValue().wasSeen = true
            },
            context
        )
    }

    private static func isRaised(in notice: OpaquePointer?) -> Bool {
        // PG_DIAG_SOURCE_FILE is a character constant, which does not cross into Swift.
        guard let file = unsafe PQresultErrorField(notice, Int32(UInt8(ascii: "F"))) else { return false }
        return unsafe String(cString: file) == "syncrep.c"
    }
}
