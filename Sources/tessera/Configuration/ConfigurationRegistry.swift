// Every setting, in the order and groups of docs/configuration.md.
import OpenSSLCrypto

private let day = 86_400
private let none = ConfigurationKey.Fallback.described("–")

extension ConfigurationKey {
    static let host = Self("TESSERA_HOST", .host, .value("127.0.0.1"), "what both services bind")
    static let authPort = Self("TESSERA_AUTH_PORT", .port, .value("8080"), "port of auth")
    static let chatPort = Self("TESSERA_CHAT_PORT", .port, .value("8081"), "port of chat")
    static let publicURL = Self(
        "TESSERA_PUBLIC_URL",
        .origin,
        .described("`http://localhost:` and auth's port"),
        "how the outside reaches auth: base of links, origin of cookies; https unless the host is a loopback one"
    )
    static let chatPublicURL = Self(
        "TESSERA_CHAT_PUBLIC_URL",
        .origin,
        .described("`http://localhost:` and chat's port"),
        "how the outside reaches chat; https unless the host is a loopback one"
    )
    static let authURL = Self(
        "TESSERA_AUTH_URL",
        .origin,
        .described("`TESSERA_PUBLIC_URL`, without it auth's own address"),
        "where chat finds auth's keys and its revocation feed"
    )
    static let metricsAddress = Self(
        "TESSERA_METRICS_ADDRESS",
        .listenAddress,
        .described("`127.0.0.1:9090`, for `tessera chat` `127.0.0.1:9091`"),
        "where `/metrics` listens; `tessera dev` has one for both"
    )
    static let dataDirectory = Self(
        "TESSERA_DATA_DIR",
        .path,
        .value("./tessera-data"),
        "SQLite files, and the secrets that `tessera dev` makes (mode 0600)"
    )
    static let trustedProxies = Self(
        "TESSERA_TRUSTED_PROXIES",
        .networks,
        .described("empty"),
        "whose `X-Forwarded-For` and `Forwarded` are believed, such as `10.0.0.0/8`"
    )
    static let corsOrigins = Self(
        "TESSERA_CORS_ORIGINS",
        .origins,
        .described("empty"),
        "which browser origins may call with credentials, each named in full; `tessera dev` allows those of this machine"
    )
}

extension ConfigurationKey {
    static let masterKey = Self(
        "TESSERA_MASTER_KEY",
        .keyRing,
        .described("made by `tessera dev`, required elsewhere"),
        secret: true,
        "auth's key ring, each 32 bytes in base64: the first encrypts and derives, all decrypt and verify"
    )
    static let chatKey = Self(
        "TESSERA_CHAT_KEY",
        .keyRing,
        .described("made by `tessera dev`, – elsewhere"),
        secret: true,
        "chat's own key ring, in the same form, for what chat signs or seals; no key of `TESSERA_MASTER_KEY` may be in it"
    )
    static let issuer = Self("TESSERA_ISSUER", .origin, .described("`TESSERA_PUBLIC_URL`"), "`iss` of tokens")
    static let tokenAudiences = Self(
        "TESSERA_TOKEN_AUDIENCES",
        .list,
        .value("tessera,chat"),
        "`aud` of user tokens; auth itself demands `tessera`"
    )
    static let chatAudience = Self("TESSERA_CHAT_AUDIENCE", .text, .value("chat"), "the audience that chat demands")
    static let chatClientID = Self(
        "TESSERA_CHAT_CLIENT_ID",
        .text,
        none,
        "chat's client at auth, with the scope `events`; required by `tessera chat`"
    )
    static let chatFollow = Self(
        "TESSERA_CHAT_FOLLOW",
        .choice(["on", "off"]),
        .value("on"),
        "`off`: `tessera chat` runs without that client. It keeps and serves the chats of deleted users, and takes "
            + "revoked tokens until they expire"
    )
    static let chatClientSecret = Self("TESSERA_CHAT_CLIENT_SECRET", .text, none, secret: true, "that client's secret")
    static let verifierStale = Self(
        "TESSERA_VERIFIER_STALE",
        .choiceOrDuration(["serve"], 1...day),
        .value("serve"),
        "what chat does while it hears nothing of revocations: `serve` tokens until they expire, or refuse them (503) "
            + "after so long"
    )
    static let signingAlgorithm = Self(
        "TESSERA_SIGNING_ALG",
        .choice(SigningAlgorithm.allCases.map(\.rawValue)),
        .value("ES256"),
        "algorithm of new signing keys"
    )
    static let keyRotation = Self(
        "TESSERA_KEY_ROTATION",
        .duration(3600...3650 * day),
        .value("30d"),
        "age at which the signing key is replaced"
    )
    static let accessTokenTTL = Self(
        "TESSERA_ACCESS_TOKEN_TTL",
        .duration(10...day),
        .value("10m"),
        "lifetime of access tokens, less up to 5 %"
    )
    static let refreshGrace = Self(
        "TESSERA_REFRESH_GRACE",
        .duration(0...60),
        .value("10s"),
        "how long a rotated refresh token still yields the same successor"
    )
    static let sessionIdle = Self(
        "TESSERA_SESSION_IDLE",
        .duration(60...3650 * day),
        .value("14d"),
        "a session not used for so long ends"
    )
    static let sessionAbsolute = Self(
        "TESSERA_SESSION_ABSOLUTE",
        .duration(60...3650 * day),
        .value("90d"),
        "a session ends, however much it is used"
    )
}

// Passwords. `Argon2Parameters` checks the combined bounds again.
extension ConfigurationKey {
    static let passwordMinimum = Self(
        "TESSERA_PASSWORD_MIN",
        .number(8...128),
        .value("8"),
        "characters of the shortest password accepted"
    )
    static let argon2Memory = Self(
        "TESSERA_ARGON2_MEMORY_KIB",
        .number(8...1_048_576),
        .value("19456"),
        "memory of one hash; raised ones reach users at their next login"
    )
    static let argon2Iterations = Self(
        "TESSERA_ARGON2_ITERATIONS",
        .number(1...20),
        .value("2"),
        "passes over that memory"
    )
    static let argon2Parallelism = Self(
        "TESSERA_ARGON2_PARALLELISM",
        .number(1...16),
        .value("1"),
        "threads of one hash, each with at least 8 KiB"
    )
    static let hashThreads = Self(
        "TESSERA_HASH_THREADS",
        .number(1...256),
        .described("processor cores"),
        "hashes at a time; they need threads × memory"
    )
    static let hashQueue = Self(
        "TESSERA_HASH_QUEUE",
        .number(1...100_000),
        .value("64"),
        "logins that may wait for a thread; more get 503 with `Retry-After`"
    )
}

// Quotas. Tiers are `guest`, and the roles of all other users. A tier without an entry has no limit.
extension ConfigurationKey {
    static let quotaMessages = Self(
        "TESSERA_QUOTA_MESSAGES_PER_DAY",
        .limits,
        none,
        "messages of one's own in a day of UTC, such as `guest=20,user=50`; other tiers have no limit"
    )
    static let quotaTokensPerDay = Self(
        "TESSERA_QUOTA_TOKENS_PER_DAY",
        .limits,
        none,
        "tokens that can be used and reserved in a day of UTC"
    )
    static let quotaTokensPerMonth = Self(
        "TESSERA_QUOTA_TOKENS_PER_MONTH",
        .limits,
        none,
        "tokens that can be used and reserved in a month of UTC"
    )
}

extension ConfigurationKey {
    static let allowHTTPURLs = Self(
        "TESSERA_ALLOW_HTTP_URLS",
        .choice(["on", "off"]),
        .value("off"),
        "`on`: URLs that users set, such as `avatar_url`, may be `http` too"
    )
    static let rateLimits = Self(
        "TESSERA_RATE_LIMITS",
        .choice(["on", "off"]),
        .value("on"),
        "`off` is for benchmarks only"
    )
    static let cleanupInterval = Self(
        "TESSERA_CLEANUP_INTERVAL",
        .duration(1...day),
        .value("10m"),
        "how often expired rows are removed"
    )
    static let eventRetention = Self(
        "TESSERA_EVENT_RETENTION",
        .duration(day...3650 * day),
        .value("7d"),
        "how long events are kept"
    )
    static let trashRetention = Self(
        "TESSERA_TRASH_RETENTION",
        .duration(0...3650 * day),
        .value("30d"),
        "how long a deleted conversation can be brought back"
    )
    static let changeRetention = Self(
        "TESSERA_CHANGE_RETENTION",
        .duration(3600...3650 * day),
        .value("7d"),
        "how long chat's change feed keeps its changes"
    )
    static let auditRetention = Self(
        "TESSERA_AUDIT_RETENTION",
        .duration(day...36_500 * day),
        .value("365d"),
        "how long the audit log is kept"
    )
    static let logSlowSQL = Self(
        "TESSERA_LOG_SLOW_SQL",
        .shortDuration(0...3_600_000),
        .value("100ms"),
        "from how long a batch of statements is logged: their names, rows and time, never a parameter; `0ms` logs all"
    )
    static let logLevel = Self(
        "TESSERA_LOG_LEVEL",
        .choice(["trace", "debug", "info", "notice", "warning", "error", "critical"]),
        .value("info"),
        "what is logged"
    )
    static let logFormat = Self(
        "TESSERA_LOG_FORMAT",
        .choice(["text", "json"]),
        .described("`text` on a terminal, else `json`"),
        "one line an event, either way"
    )
}

extension ConfigurationKey {
    static let all: [ConfigurationKey] =
        [
            host, authPort, chatPort, publicURL, chatPublicURL, authURL, metricsAddress, dataDirectory, trustedProxies,
            corsOrigins,
        ] + databases + [
            masterKey, chatKey, issuer, tokenAudiences, chatAudience, chatClientID, chatClientSecret, chatFollow,
            verifierStale, signingAlgorithm, keyRotation, accessTokenTTL, refreshGrace, sessionIdle, sessionAbsolute,
            passwordMinimum, argon2Memory, argon2Iterations,
            argon2Parallelism, hashThreads, hashQueue, quotaMessages, quotaTokensPerDay, quotaTokensPerMonth,
        ] + limits + [
            allowHTTPURLs, rateLimits, cleanupInterval, eventRetention, changeRetention, auditRetention, trashRetention,
            logSlowSQL, logLevel, logFormat,
        ]
}
