// swift-tools-version: 6.2
//
// A service of its own that believes Tessera's tokens. In your package, name the repository by its address instead of
// the path.

import PackageDescription

let package = Package(
    name: "who-am-i",
    dependencies: [
        .package(name: "tessera", path: "../.."),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .executableTarget(
            name: "WhoAmI",
            dependencies: [
                .product(name: "TesseraVerifierHummingbird", package: "tessera"),
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ]
        )
    ],
    swiftLanguageModes: [.v6]
)
