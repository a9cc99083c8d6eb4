// swift-tools-version: 6.2
//
// Tessera: two services, one binary. The target graph below is the architecture: docs/architecture.md
// holds the same table with the reason for each target, and a test compares the two.

import PackageDescription

/// Every Swift target of the project, tests included.
let swift6: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

/// Targets that touch C or read bytes through pointers: each unsafe construct carries `unsafe`, or the build fails.
let strict: [SwiftSetting] =
    swift6 + [.strictMemorySafety(), .treatWarning("StrictMemorySafety", as: .error)]

let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore: Target.Dependency = .product(name: "HummingbirdCore", package: "hummingbird")
let hummingbirdTesting: Target.Dependency = .product(name: "HummingbirdTesting", package: "hummingbird")
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
let asyncHTTPClient: Target.Dependency = .product(name: "AsyncHTTPClient", package: "async-http-client")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let metrics: Target.Dependency = .product(name: "Metrics", package: "swift-metrics")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals: Target.Dependency = .product(name: "UnixSignals", package: "swift-service-lifecycle")
let httpTypes: Target.Dependency = .product(name: "HTTPTypes", package: "swift-http-types")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioHTTP1: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let nioHTTPTypes: Target.Dependency = .product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioHTTPTypesHTTP1: Target.Dependency = .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let configuration: Target.Dependency = .product(name: "Configuration", package: "swift-configuration")
let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
    name: "tessera",
    products: [
        .executable(name: "tessera", targets: ["tessera"]),
        .executable(name: "storage-bench", targets: ["StorageBench"]),
        .executable(name: "verifier-bench", targets: ["VerifierBench"]),
        .library(name: "TesseraVerifier", targets: ["TesseraVerifier"]),
        .library(name: "TesseraVerifierHummingbird", targets: ["TesseraVerifierHummingbird"]),
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: ["YAML"]),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-system", from: "1.6.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // The only places where C headers appear.
        .systemLibrary(
            name: "COpenSSL",
            path: "Sources/Foundations/COpenSSL",
            pkgConfig: "libcrypto",
            providers: [.apt(["libssl-dev"])]
        ),
        .systemLibrary(
            name: "CArgon2",
            path: "Sources/Foundations/CArgon2",
            pkgConfig: "libargon2",
            providers: [.apt(["libargon2-dev"])]
        ),
        .systemLibrary(
            name: "CLibPQ",
            path: "Sources/Foundations/CLibPQ",
            pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]
        ),
        .systemLibrary(
            name: "CIDN2",
            path: "Sources/Foundations/CIDN2",
            pkgConfig: "libidn2",
            providers: [.apt(["libidn2-dev"])]
        ),
        .systemLibrary(
            name: "CZlib",
            path: "Sources/Foundations/CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]
        ),
        .systemLibrary(name: "CMalloc", path: "Sources/Foundations/CMalloc"),
        .target(name: "CEmbedded", path: "Sources/Foundations/Resources/CEmbedded"),

        // What Tessera exists for: crypto, hashing, storage, trust.
        .target(
            name: "StrictJSON",
            path: "Sources/Foundations/StrictJSON",
            swiftSettings: strict
        ),
        .target(
            name: "OpenSSLCrypto",
            dependencies: ["COpenSSL", "StrictJSON"],
            path: "Sources/Foundations/OpenSSLCrypto",
            swiftSettings: strict
        ),
        .target(
            name: "DomainNames",
            dependencies: ["CIDN2"],
            path: "Sources/Foundations/DomainNames",
            swiftSettings: strict
        ),
        .target(
            name: "Gzip",
            dependencies: ["CZlib"],
            path: "Sources/Foundations/Gzip",
            swiftSettings: strict
        ),
        .target(
            name: "PasswordHashing",
            dependencies: ["CArgon2", "OpenSSLCrypto", lifecycle, deque],
            path: "Sources/Foundations/PasswordHashing",
            swiftSettings: strict
        ),
        .target(
            name: "Storage",
            dependencies: [logging, deque],
            path: "Sources/Storage/Storage",
            swiftSettings: swift6
        ),
        .target(
            name: "StorageSQLite",
            dependencies: ["Storage", grdb, logging, deque],
            path: "Sources/Storage/StorageSQLite",
            swiftSettings: swift6
        ),
        .target(
            name: "StoragePostgres",
            dependencies: ["Storage", "CLibPQ", logging, deque],
            path: "Sources/Storage/StoragePostgres",
            swiftSettings: strict
        ),
        .target(
            name: "StorageConformance",
            dependencies: ["Storage"],
            path: "Sources/Storage/StorageConformance",
            swiftSettings: swift6
        ),
        .target(
            name: "TesseraVerifier",
            dependencies: [
                "OpenSSLCrypto", "StrictJSON", asyncHTTPClient, logging, metrics, lifecycle, nioCore, nioHTTP1,
            ],
            path: "Sources/Verifier/TesseraVerifier",
            swiftSettings: swift6
        ),
        .target(
            name: "TesseraVerifierHummingbird",
            dependencies: ["TesseraVerifier", hummingbird, httpTypes, logging],
            path: "Sources/Verifier/TesseraVerifierHummingbird",
            swiftSettings: swift6
        ),

        // The two services and what they share on the wire.
        .target(
            name: "Embedded",
            dependencies: ["CEmbedded"],
            path: "Sources/Foundations/Resources/Embedded",
            swiftSettings: strict
        ),
        .target(
            name: "ServiceKit",
            dependencies: [
                "Storage", "OpenSSLCrypto", "StrictJSON", "Gzip", hummingbird, hummingbirdCore, httpTypes, logging,
                metrics,
                lifecycle, nioCore, nioHTTP1, nioHTTPTypes, nioHTTPTypesHTTP1,
            ],
            path: "Sources/ServiceKit",
            swiftSettings: swift6
        ),
        .target(
            name: "AuthService",
            dependencies: [
                "Storage", "OpenSSLCrypto", "PasswordHashing", "DomainNames", "TesseraVerifierHummingbird",
                "ServiceKit",
                hummingbird, httpTypes, logging, metrics, lifecycle, nioCore,
            ],
            path: "Sources/AuthService",
            swiftSettings: swift6
        ),
        .target(
            name: "ChatService",
            dependencies: [
                "Storage", "OpenSSLCrypto", "TesseraVerifierHummingbird", "ServiceKit",
                hummingbird, httpTypes, logging, metrics, lifecycle, nioCore,
            ],
            path: "Sources/ChatService",
            swiftSettings: swift6
        ),
        .executableTarget(
            name: "tessera",
            dependencies: [
                "Storage", "StorageSQLite", "StoragePostgres", "OpenSSLCrypto", "PasswordHashing", "TesseraVerifier",
                "TesseraVerifierHummingbird", "ServiceKit", "AuthService", "ChatService", "Embedded", "CMalloc",
                hummingbird, hummingbirdCore, httpTypes, logging, metrics,
                .product(name: "CoreMetrics", package: "swift-metrics"), lifecycle, unixSignals, nioCore, configuration,
                argumentParser,
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Sources/tessera",
            swiftSettings: swift6
        ),

        // Measures the engines without HTTP; `make bench` starts it.
        .executableTarget(
            name: "StorageBench",
            dependencies: ["Storage", "StorageSQLite", "StoragePostgres", grdb, logging, argumentParser],
            path: "Benchmarks/StorageBench",
            swiftSettings: swift6
        ),

        // Measures what believing a token costs.
        .executableTarget(
            name: "VerifierBench",
            dependencies: ["TesseraVerifier", "OpenSSLCrypto", argumentParser],
            path: "Benchmarks/VerifierBench",
            swiftSettings: swift6
        ),

        // The example of a service with the library. Examples/WhoAmI is a package of its own; here the same sources are
        // built with everything else, so that the tests can run them. A test compares the two.
        .executableTarget(
            name: "WhoAmI",
            dependencies: ["TesseraVerifierHummingbird", hummingbird, logging, lifecycle],
            path: "Examples/WhoAmI/Sources/WhoAmI"
        ),

        // Tests. TestSupport starts engines, services and processes for all of them.
        .target(name: "CFaultyDisk", path: "Tests/CFaultyDisk", linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(
            name: "TestSupport",
            dependencies: [
                "Storage", "StorageSQLite", "StoragePostgres", "OpenSSLCrypto", "ServiceKit", "Embedded", hummingbird,
                hummingbirdTesting, logging, httpTypes, nioCore,
            ],
            path: "Tests/TestSupport",
            swiftSettings: swift6
        ),
        .testTarget(name: "StrictJSONTests", dependencies: ["StrictJSON", "TestSupport"], swiftSettings: swift6),
        .testTarget(name: "OpenSSLCryptoTests", dependencies: ["OpenSSLCrypto", "TestSupport"], swiftSettings: swift6),
        .testTarget(name: "DomainNamesTests", dependencies: ["DomainNames"], swiftSettings: swift6),
        .testTarget(
            name: "PasswordHashingTests",
            dependencies: ["PasswordHashing", "OpenSSLCrypto", "TestSupport", lifecycle, logging],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "StorageTests",
            dependencies: [
                "Storage", "StorageSQLite", "StoragePostgres", "StorageConformance", "Embedded", "AuthService",
                "ChatService", "TestSupport", "CFaultyDisk",
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "TesseraVerifierTests",
            dependencies: [
                "TesseraVerifier", "TesseraVerifierHummingbird", "OpenSSLCrypto", "TestSupport",
                asyncHTTPClient, hummingbird, hummingbirdTesting, httpTypes, logging, nioCore,
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "ServiceKitTests",
            dependencies: [
                "ServiceKit", "Storage", "OpenSSLCrypto", "StrictJSON", "Gzip", "TestSupport", hummingbird,
                hummingbirdCore, hummingbirdTesting, httpTypes, logging, nioCore, nioHTTP1, nioHTTPTypes, metrics,
                .product(name: "CoreMetrics", package: "swift-metrics"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "AuthServiceTests",
            dependencies: [
                "AuthService", "Storage", "OpenSSLCrypto", "PasswordHashing", "TesseraVerifierHummingbird",
                "ServiceKit", "TestSupport",
                hummingbird, hummingbirdTesting, httpTypes, logging, nioCore,
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "ChatServiceTests",
            dependencies: [
                "ChatService", "Storage", "OpenSSLCrypto", "TesseraVerifierHummingbird", "ServiceKit", "TestSupport",
                hummingbird, hummingbirdTesting, httpTypes, logging, nioCore,
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "EndToEndTests",
            dependencies: [
                "TestSupport", "OpenSSLCrypto", "Storage", "TesseraVerifier", asyncHTTPClient, nioCore, nioHTTP1,
                httpTypes, logging,
            ],
            swiftSettings: swift6
        ),
        // Starts from the data of the programs before, which are in Tests/Fixtures/upgrade.
        .testTarget(
            name: "UpgradeTests",
            dependencies: [
                "AuthService", "ChatService", "Storage", "OpenSSLCrypto", "PasswordHashing",
                "TesseraVerifierHummingbird", "ServiceKit", "Embedded", "TestSupport", hummingbird, hummingbirdTesting,
                httpTypes, lifecycle, logging, nioCore,
            ],
            swiftSettings: swift6
        ),
        .testTarget(
            name: "ProjectTests",
            dependencies: [
                "TestSupport", "Storage", "OpenSSLCrypto", "PasswordHashing", "TesseraVerifierHummingbird",
                "ServiceKit", "AuthService",
                "ChatService", "Embedded", "tessera", hummingbird, hummingbirdTesting, httpTypes, nioCore, logging,
                configuration, yams,
            ],
            swiftSettings: swift6
        ),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)
