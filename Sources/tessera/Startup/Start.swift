import AuthService
import ChatService
import Logging
import OpenSSLCrypto
import ServiceKit
import Storage
import TesseraVerifier

#if canImport(Glibc)
    import Glibc
#endif

enum Start {
    static func auth(
        _ settings: Settings,
        ring: MasterKeyRing,
        _ opened: ServiceDatabase,
        quietAgent: String? = nil,
        mustSign: Bool = true,
        logger: Logger
    ) async throws -> AuthService {
        var configuration = try settings.authConfiguration(masterKeys: ring)
        configuration.quietAgent = quietAgent
        configuration.nodeName = nodeName(settings)
        do {
            return try await AuthService(
                database: opened.database,
                configuration: configuration,
                isReady: opened.isReady,
                contract: ServiceRunner.contract(of: "auth", at: settings.publicURL, cookieAt: settings.publicURL),
                logger: logger,
                mustSign: mustSign
            )
        } catch let error as CryptoError {
            switch error {
            case .unknownKey, .authenticationFailed:
                throw ConfigurationError(.masterKey, "does not hold the key that the signing keys are sealed with")
            default: throw error
            }
        } catch let error as RingError {
            switch error {
            case .idTaken(let id):
                let reason = "holds a key whose id \(Hex.encode([id])) is that of another registered key"
                throw ConfigurationError(.masterKey, "\(reason); generate another, or withdraw that one")
            case .primaryWithdrawn(let id):
                throw ConfigurationError(.masterKey, "begins with the key \(Hex.encode([id])), which was withdrawn")
            default: throw error.lastAnswer
            }
        }
    }

    /// Registers a node, before it listens.
    static func serving(_ auth: AuthService, logger: Logger) async throws {
        try await auth.beginServing()
        for id in auth.withdrawnKeys {
            logger.warning(
                "a master key of this node was withdrawn, and can leave its ring",
                metadata: ["key": "\(Hex.encode([id]))", "setting": "\(ConfigurationKey.masterKey.name)"]
            )
        }
    }

    private static func nodeName(_ settings: Settings) -> String {
        var name = [CChar](repeating: 0, count: 256)
        guard gethostname(&name, name.count - 1) == 0 else { return "\(settings.auth.port)" }
        let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return "\(host):\(settings.auth.port)"
    }

    /// `keys` is chat's own ring, by default the configured one. `feed` is chat's client at auth; without one chat
    /// follows nothing.
    static func chat(
        _ settings: Settings,
        keys ring: MasterKeyRing? = nil,
        feed: ChatFeedSettings?,
        _ opened: ServiceDatabase,
        logger: Logger
    ) throws -> ChatNode {
        let keys = RemoteKeySource(url: "\(settings.authURL)/.well-known/jwks.json", logger: logger)
        // One stream for revocations and for user events.
        let news = EventNews(of: UserEventFeed.kinds)
        let revocations = feed.map {
            RevocationFeed($0, at: settings.authURL, keys: keys, news: news, logger: logger)
        }
        var configuration = try settings.chatConfiguration()
        if let ring { configuration.keys = ring }
        let service = ChatService(
            database: opened.database,
            configuration: configuration,
            keys: keys,
            revocations: revocations,
            userEvents: feed.map {
                UserEventFeed(pages: EventPages($0, at: settings.authURL, logger: logger), news: news)
            },
            isReady: {
                try await opened.isReady()
                do {
                    try await keys.requireKeys()
                } catch {
                    throw APIError.retry(.keysUnavailable, afterSeconds: 1)
                }
                // After a restart the node must know the revocations before it is ready.
                guard revocations?.isReady ?? true else {
                    throw APIError.retry(.revocationsUnavailable, afterSeconds: 1)
                }
            },
            contract: ServiceRunner.contract(of: "chat", at: settings.chatPublicURL, cookieAt: settings.publicURL),
            logger: logger
        )
        return ChatNode(service: service, keys: keys, revocations: revocations)
    }
}

struct ChatNode {
    let service: ChatService
    let keys: RemoteKeySource
    let revocations: RevocationFeed?
}

extension ClientCredentials {
    fileprivate init(_ settings: ChatFeedSettings, at authURL: String) {
        self.init(tokenEndpoint: "\(authURL)/oauth2/token", id: settings.clientID, secret: settings.clientSecret)
    }
}

extension EventPages {
    fileprivate init(_ settings: ChatFeedSettings, at authURL: String, logger: Logger) {
        self.init(
            url: "\(authURL)/v1/events",
            credentials: ClientCredentials(settings, at: authURL),
            logger: logger
        )
    }
}

extension RevocationFeed {
    fileprivate convenience init(
        _ settings: ChatFeedSettings,
        at authURL: String,
        keys: RemoteKeySource,
        news: EventNews,
        logger: Logger
    ) {
        var pace = FeedPace()
        // Five minutes for clock differences.
        pace.tokenLifetime = max(pace.tokenLifetime, settings.tokenLifetime + .seconds(300))
        self.init(
            url: "\(authURL)/v1/events",
            credentials: ClientCredentials(settings, at: authURL),
            policy: settings.refuseAfter.map { .refuse(after: $0) } ?? .serve,
            pace: pace,
            keys: keys,
            news: news,
            logger: logger
        )
    }
}
