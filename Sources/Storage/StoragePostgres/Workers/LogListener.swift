// LISTEN on its own connection: the server reports each batch that appends to a log, right after its commit.
//
// A notification is lost while no connection listens. So each new connection begins with a hint, and so does every
// second without a notification. Reconnecting follows the usual pace. Meanwhile the hints go on, and followers read
// through the workers, which reconnect by themselves.

internal import CLibPQ
internal import Glibc
internal import Logging
import Storage
internal import Synchronization

/// Listens on the channel of one log.
final class LogListener: LogWatcher {
    private let url: String
    private let log: OrderedLog
    private let silence: Duration
    private let logger: Logger
    private let changed: @Sendable () -> Void
    private let wakePipe = WakePipe()

    init(
        url: String,
        log: OrderedLog,
        silence: Duration,
        logger: Logger,
        changed: @escaping @Sendable () -> Void
    ) {
        self.url = url
        self.log = log
        self.silence = silence
        self.logger = logger
        self.changed = changed
    }

    func run() {
        let pace = ReconnectPace()
        var isReconnecting = false
        while !wakePipe.isSignalled {
            do throws(StorageError) {
                if pace.allowsAttempt {
                    let connection = try Connection(url: url, purpose: .listen, silence: silence)
                    try connection.execute(script: "LISTEN \"\(log.channel)\"")
                    pace.succeeded()
                    if isReconnecting { logger.info("listening again", metadata: ["channel": "\(log.channel)"]) }
                    isReconnecting = false
                    listen(on: connection)
                }
            } catch {
                pace.failed()
                if !isReconnecting {
                    logger.warning(
                        "cannot listen",
                        metadata: ["channel": "\(log.channel)", "error": "\(error)"]
                    )
                }
                isReconnecting = true
            }
            guard !wakePipe.isSignalled else { return }
            changed()
            wakePipe.wait(for: .milliseconds(250))
        }
    }

    /// Returns when the connection is lost or the pipe is signalled.
    private func listen(on connection: Connection) {
        // There was no notification of what was committed before this moment.
        changed()
        while !wakePipe.isSignalled, connection.awaitNotification(or: wakePipe, within: LogChanges.interval) {
            changed()
        }
    }

    func stop() {
        wakePipe.signal()
    }
}

extension Connection {
    /// Returns true after a notification or the given time, false when the connection is lost.
    fileprivate func awaitNotification(or wakePipe: WakePipe, within limit: Duration) -> Bool {
        var descriptors = [
            pollfd(fd: unsafe PQsocket(handle), events: Int16(POLLIN), revents: 0),
            pollfd(fd: wakePipe.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        let milliseconds = Int32(clamping: limit.wholeMicroseconds / 1000)
        let ready = unsafe poll(&descriptors, nfds_t(descriptors.count), milliseconds)
        guard ready > 0 else { return ready == 0 || errno == EINTR }
        // Also after a signal: one read costs nothing. An idle server's last message ends the connection.
        guard isUsable() else { return false }
        while let notification = unsafe PQnotifies(handle) { unsafe PQfreemem(notification) }
        return true
    }
}

/// Wakes a thread that waits in `poll`, once and for good.
final class WakePipe: Sendable {
    /// Readable once the pipe is signalled.
    let descriptor: Int32
    private let writeEnd: Int32
    private let signalled = Atomic(false)

    init() {
        var ends: [Int32] = [-1, -1]
        // A process without free descriptors cannot connect either. `poll` ignores -1, and the flag stops the thread a
        // little later.
        if unsafe pipe(&ends) == 0 {
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        }
        descriptor = ends[0]
        writeEnd = ends[1]
    }

    deinit {
        close(descriptor)
        close(writeEnd)
    }

    func signal() {
        signalled.store(true, ordering: .releasing)
        var byte: UInt8 = 1
        _ = unsafe write(writeEnd, &byte, 1)
    }

    var isSignalled: Bool { signalled.load(ordering: .acquiring) }

    /// Returns early when the pipe is signalled.
    func wait(for limit: Duration) {
        var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&waiting, 1, Int32(clamping: limit.wholeMicroseconds / 1000))
    }
}
