package import Logging

extension Logger {
    /// Keeps the log of a test run short: failures that a test provokes are not critical.
    package static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }
}
