// Runs services until a signal: stops accepting, finishes requests in flight (10 s), closes databases last, exits 0.
import AuthService
import ChatService
import CoreMetrics
import Embedded
import Hummingbird
import HummingbirdCore
import Logging
import Metrics
import NIOCore
import ServiceKit
import ServiceLifecycle
import Storage
import Synchronization
import TesseraVerifier
import UnixSignals

#if canImport(Glibc)
    import Glibc
#endif

struct ServiceRunner {
    private var services: [any Service] = []
    private let logger: Logger
    private let registry = PrometheusRegistry()
    private let starting = Starting()
    /// Of both services. `/metrics` has places of its own, so that they can be watched when there are none.
    private let places: ConnectionPlaces
    private let metricsPlaces: ConnectionPlaces

    /// The service's part of openapi.yaml, as it is here.
    static func contract(of service: String, at publicURL: String, cookieAt authURL: String) -> String {
        let whole = EmbeddedFile.all.first { $0.path == "openapi.yaml" }?.text ?? ""
        let cookie = SessionCookiePolicy.name(at: authURL)
        return ServiceContract(of: service, at: publicURL).text(from: whole, cookie: cookie)
    }

    init(limits: ConnectionLimits, logger: Logger) {
        self.logger = logger
        MetricsSystem.bootstrap(registry)
        places = ConnectionPlaces(limits: limits, logger: logger)
        var forMetrics = ConnectionLimits()
        forMetrics.connections = 64
        metricsPlaces = ConnectionPlaces(limits: forMetrics, listeners: "metrics", logger: logger)
        let droppedLines = Counter(label: "tessera_log_lines_dropped_total")
        Logs.writer.onDrop { droppedLines.increment(by: $0) }
    }

    mutating func add(_ auth: AuthService, on address: ListenAddress, database: any SQLDatabase) {
        services.append(DatabaseService(database: database))
        services += auth.services
        starting.add()
        services.append(
            server(auth.buildRouter(), "auth", on: address, places: places, isListening: starting.isListening)
        )
    }

    mutating func add(_ chat: ChatNode, on address: ListenAddress, database: any SQLDatabase) {
        services.append(DatabaseService(database: database))
        services.append(AskingService(service: chat.keys, othersListen: starting.allListen))
        services += chat.service.services
        if let revocations = chat.revocations {
            services.append(FollowingService(feed: revocations))
        } else {
            logger.warning(
                "chat follows nothing: it keeps the chats of deleted users, and takes revoked tokens until they expire",
                metadata: ["setting": "\(ConfigurationKey.chatFollow.name)"]
            )
        }
        starting.add()
        services.append(
            server(
                chat.service.buildRouter(),
                "chat",
                on: address,
                places: places,
                isListening: starting.isListening
            )
        )
    }

    /// Serves `/metrics` on an address of its own that is not public.
    mutating func addMetrics(on address: ListenAddress) {
        let router = Router()
        router.get("metrics") { [registry] _, _ in
            Response(
                status: .ok,
                headers: [.contentType: "text/plain; version=0.0.4"],
                body: .init(byteBuffer: ByteBuffer(string: registry.exposition()))
            )
        }
        services.append(server(router, "metrics", on: address, places: metricsPlaces))
    }

    private func server<Routing: HTTPResponderBuilder>(
        _ router: Routing,
        _ name: String,
        on address: ListenAddress,
        places: ConnectionPlaces,
        isListening: @escaping @Sendable () -> Void = {}
    ) -> some Service where Routing.Responder.Context: InitializableFromSource<ApplicationRequestContextSource> {
        let handlers = places.handlers(service: name)
        let application = Application(
            router: router,
            server: HTTPServerBuilder { responder in ServiceChannel(responder: responder, handlers: handlers) },
            configuration: .init(address: .hostname(address.host, port: address.port), serverName: nil),
            onServerRunning: { [logger] channel in
                do {
                    try await places.guardAccepting(of: channel)
                } catch {
                    logger.error("connections are not limited", metadata: ["service": "\(name)", "error": "\(error)"])
                }
                isListening()
            },
            logger: logger
        )
        return ListeningService(application: application, address: address)
    }

    /// Runs everything until a signal.
    ///
    /// - Parameter whenListening: called once, when every service listens.
    /// - Throws: `StartFailure` when an address is invalid or in use.
    func run(whenListening: @escaping @Sendable () -> Void = {}) async throws {
        starting.whenDone(whenListening)
        // The first service is shut down last, and a failure shuts down the others in the same order. A server that is
        // cancelled while a connection waits to be served traps (swift-nio issue 3481).
        var configuration = ServiceGroupConfiguration(
            services: services.map { service in
                // SECURITY: the name is logged, and would otherwise be a dump of the service with its keys.
                .init(
                    service: service,
                    failureTerminationBehavior: .gracefullyShutdownGroup,
                    serviceName: "\(type(of: service))"
                )
            },
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch is CancellationError {
            // Requests in flight exceeded their time.
        }
    }
}

private final class Starting: Sendable {
    private struct State {
        var left = 0
        var action: @Sendable () -> Void = {}
    }

    private let state = Mutex(State())
    /// Ends when every service listens. For one reader.
    let allListen: AsyncStream<Never>
    private let end: AsyncStream<Never>.Continuation

    init() { (allListen, end) = AsyncStream.makeStream() }

    func add() { state.withLock { $0.left += 1 } }

    func whenDone(_ action: @escaping @Sendable () -> Void) { state.withLock { $0.action = action } }

    func isListening() {
        let action = state.withLock { state in
            state.left -= 1
            return state.left == 0 ? state.action : nil
        }
        guard let action else { return }
        end.finish()
        action()
    }
}

private struct ListeningService<Server: Service>: Service {
    let application: Server
    let address: ListenAddress

    func run() async throws {
        do {
            try await application.run()
        } catch let error as IOError {
            throw StartFailure("cannot listen on \(address): \(String(cString: strerror(error.errnoCode)))")
        } catch is SocketAddressError.UnknownHost {
            throw StartFailure("cannot listen on \(address): there is no such address")
        }
    }
}

/// Follows the revocations until every service that checks them has stopped.
private struct FollowingService: Service {
    let feed: RevocationFeed

    func run() async throws {
        await cancelWhenGracefulShutdown { await feed.run() }
    }
}

/// Starts when all services listen: its requests may go to this process, and would be refused and logged before.
private struct AskingService<Asking: Service>: Service {
    let service: Asking
    let othersListen: AsyncStream<Never>

    func run() async throws {
        await cancelWhenGracefulShutdown { for await _ in othersListen {} }
        try await service.run()
    }
}

/// Closes a database after every service that uses it has stopped.
private struct DatabaseService: Service {
    let database: any SQLDatabase

    func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}
