// Every key there is, said once: the reader, the help, the check for misspelled variables and docs/configuration.md
// (which a test compares) all come from here.

/// A setting.
struct ConfigurationKey: Hashable, Sendable {
    let name: String
    let isSecret: Bool

    private init(_ name: String, secret: Bool = false) {
        self.name = name
        self.isSecret = secret
    }

    /// The key in a YAML file: `TESSERA_AUTH_PORT` is `auth_port`.
    var fileKey: String {
        (name.hasPrefix("TESSERA_") ? String(name.dropFirst(8)) : name).lowercased()
    }

    static let host = ConfigurationKey("TESSERA_HOST")
    static let authPort = ConfigurationKey("TESSERA_AUTH_PORT")
    static let chatPort = ConfigurationKey("TESSERA_CHAT_PORT")
    static let publicURL = ConfigurationKey("TESSERA_PUBLIC_URL")
    static let chatPublicURL = ConfigurationKey("TESSERA_CHAT_PUBLIC_URL")
    static let authURL = ConfigurationKey("TESSERA_AUTH_URL")
    static let metricsAddress = ConfigurationKey("TESSERA_METRICS_ADDRESS")
    static let dataDirectory = ConfigurationKey("TESSERA_DATA_DIR")
    static let trustedProxies = ConfigurationKey("TESSERA_TRUSTED_PROXIES")
    static let corsOrigins = ConfigurationKey("TESSERA_CORS_ORIGINS")
    static let authDatabaseURL = ConfigurationKey("TESSERA_AUTH_DATABASE_URL", secret: true)
    static let chatDatabaseURL = ConfigurationKey("TESSERA_CHAT_DATABASE_URL", secret: true)
    static let postgresHost = ConfigurationKey("POSTGRES_HOST")
    static let postgresPort = ConfigurationKey("POSTGRES_PORT")
    static let postgresUser = ConfigurationKey("POSTGRES_USER")
    static let postgresPassword = ConfigurationKey("POSTGRES_PASSWORD", secret: true)
    static let postgresDatabase = ConfigurationKey("POSTGRES_DB")
    static let masterKey = ConfigurationKey("TESSERA_MASTER_KEY", secret: true)
    static let issuer = ConfigurationKey("TESSERA_ISSUER")
    static let tokenAudiences = ConfigurationKey("TESSERA_TOKEN_AUDIENCES")
    static let chatAudience = ConfigurationKey("TESSERA_CHAT_AUDIENCE")
    static let signingAlgorithm = ConfigurationKey("TESSERA_SIGNING_ALG")
    static let keyRotation = ConfigurationKey("TESSERA_KEY_ROTATION")
    static let accessTokenTTL = ConfigurationKey("TESSERA_ACCESS_TOKEN_TTL")
    static let refreshGrace = ConfigurationKey("TESSERA_REFRESH_GRACE")
    static let sessionIdle = ConfigurationKey("TESSERA_SESSION_IDLE")
    static let sessionAbsolute = ConfigurationKey("TESSERA_SESSION_ABSOLUTE")
    static let passwordMinimum = ConfigurationKey("TESSERA_PASSWORD_MIN")
    static let argon2Memory = ConfigurationKey("TESSERA_ARGON2_MEMORY_KIB")
    static let argon2Iterations = ConfigurationKey("TESSERA_ARGON2_ITERATIONS")
    static let argon2Parallelism = ConfigurationKey("TESSERA_ARGON2_PARALLELISM")
    static let hashThreads = ConfigurationKey("TESSERA_HASH_THREADS")
    static let hashQueue = ConfigurationKey("TESSERA_HASH_QUEUE")
    static let rateLimits = ConfigurationKey("TESSERA_RATE_LIMITS")
    static let cleanupInterval = ConfigurationKey("TESSERA_CLEANUP_INTERVAL")
    static let eventRetention = ConfigurationKey("TESSERA_EVENT_RETENTION")
    static let auditRetention = ConfigurationKey("TESSERA_AUDIT_RETENTION")
    static let logLevel = ConfigurationKey("TESSERA_LOG_LEVEL")
    static let logFormat = ConfigurationKey("TESSERA_LOG_FORMAT")

    static let all: [ConfigurationKey] = [
        host, authPort, chatPort, publicURL, chatPublicURL, authURL, metricsAddress, dataDirectory, trustedProxies,
        corsOrigins, authDatabaseURL, chatDatabaseURL, postgresHost, postgresPort, postgresUser, postgresPassword,
        postgresDatabase, masterKey, issuer, tokenAudiences, chatAudience, signingAlgorithm, keyRotation,
        accessTokenTTL, refreshGrace, sessionIdle, sessionAbsolute, passwordMinimum, argon2Memory, argon2Iterations,
        argon2Parallelism, hashThreads, hashQueue, rateLimits, cleanupInterval, eventRetention, auditRetention,
        logLevel, logFormat,
    ]
}

/// A setting that no server may start with.
///
/// SECURITY: names the key and what is expected of it, never the value: it may be a secret in the wrong place.
struct ConfigurationError: Error, CustomStringConvertible {
    let key: String
    let expectation: String

    init(_ key: ConfigurationKey, _ expectation: String) {
        self.init(key: key.name, expectation)
    }

    init(key: String, _ expectation: String) {
        self.key = key
        self.expectation = expectation
    }

    var description: String { "\(key) \(expectation)" }
}
