// Runs services until a signal: stop accepting, finish what is in flight (10 s), close databases last, exit 0.
import AuthService
import ChatService
import CoreMetrics
import Embedded
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle
import Storage
import TesseraVerifier
import UnixSignals
import WebSupport

/// Collects what one process runs.
struct ServiceRunner {
    private var services: [any Service] = []
    private let logger: Logger
    private let registry = PrometheusRegistry()

    static var contract: String { EmbeddedFile.all.first { $0.path == "openapi.yaml" }?.text ?? "" }

    init(logger: Logger) {
        self.logger = logger
        MetricsSystem.bootstrap(registry)
    }

    mutating func add(_ auth: AuthService, on address: ListenAddress, database: any SQLDatabase) {
        services.append(DatabaseService(database: database))
        services += auth.services
        services.append(server(auth.buildRouter(), on: address))
    }

    mutating func add(_ chat: ChatService, keys: RemoteKeySource, on address: ListenAddress, database: any SQLDatabase) {
        services.append(DatabaseService(database: database))
        services.append(keys)
        services.append(server(chat.buildRouter(), on: address))
    }

    /// `/metrics`, on an address of its own that is not for the public.
    mutating func addMetrics(on address: ListenAddress) {
        let router = Router()
        router.get("metrics") { [registry] _, _ in
            Response(
                status: .ok, headers: [.contentType: "text/plain; version=0.0.4"],
                body: .init(byteBuffer: ByteBuffer(string: registry.exposition()))
            )
        }
        services.append(server(router, on: address))
    }

    private func server<Context: RequestContext>(
        _ router: Router<Context>,
        on address: ListenAddress
    ) -> some Service where Context.Source == ApplicationRequestContextSource {
        Application(
            router: router,
            server: .http1(configuration: .init(additionalChannelHandlers: [RequestDeadlineHandler()])),
            configuration: .init(address: .hostname(address.host, port: address.port), serverName: nil),
            logger: logger
        )
    }

    func run() async throws {
        // The first service is shut down last.
        var configuration = ServiceGroupConfiguration(
            services: services, gracefulShutdownSignals: [.sigterm, .sigint], logger: logger
        )
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        do {
            try await ServiceGroup(configuration: configuration).run()
        } catch let error as IOError {
            throw StartFailure("cannot listen: \(error)")
        } catch is CancellationError {
            // What was in flight took longer than it was given.
        }
    }
}

/// Closes a database after everything that uses it has stopped.
private struct DatabaseService: Service {
    let database: any SQLDatabase

    func run() async throws {
        try? await gracefulShutdown()
        await database.close()
    }
}
