import Logging
import ServiceKit
import Storage

struct LineLogHandler: LogHandler {
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]
    let format: LogFormat
    let writer: LogWriter
    /// On a terminal `tessera dev` shows requests and everything above `info`.
    var showsRequestsOnly = false

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        if showsRequestsOnly, event.level <= .info, event.message != "request" { return }
        let line = LogLine(event, with: metadata, at: Clock.system.now())
        writer.write(format.bytes(line), isUrgent: event.level >= .warning)
    }
}
