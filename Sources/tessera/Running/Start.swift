// Builds the services from settings.
import AuthService
import ChatService
import Logging
import OpenSSLCrypto
import Storage
import TesseraVerifier

enum Start {
    static func auth(
        _ settings: Settings,
        ring: MasterKeyRing,
        _ opened: ServiceDatabase,
        logger: Logger
    ) async throws -> AuthService {
        do {
            return try await AuthService(
                database: opened.database,
                configuration: try settings.authConfiguration(masterKeys: ring),
                isReady: opened.isReady,
                contract: ServiceRunner.contract,
                logger: logger
            )
        } catch let error as CryptoError {
            switch error {
            case .unknownKey, .authenticationFailed:
                throw ConfigurationError(.masterKey, "does not hold the key that the signing keys are sealed with")
            default: throw error
            }
        }
    }

    static func chat(_ settings: Settings, _ opened: ServiceDatabase, logger: Logger) throws -> (
        ChatService, RemoteKeySource
    ) {
        let keys = RemoteKeySource(url: "\(settings.authURL)/.well-known/jwks.json", logger: logger)
        let service = ChatService(
            database: opened.database,
            configuration: try settings.chatConfiguration(),
            keys: keys,
            isReady: opened.isReady,
            contract: ServiceRunner.contract,
            logger: logger
        )
        return (service, keys)
    }
}
