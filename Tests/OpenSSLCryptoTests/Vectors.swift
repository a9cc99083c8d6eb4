// Reads published vectors: those of RFCs in Tests/Vectors, and C2SP's, which are not copied into the repository, in the
// folder that TESSERA_VECTORS names.

import Foundation
import OpenSSLCrypto

enum Vectors {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Vectors")

    /// Decodes one file; a missing or malformed one fails the test that asks for it.
    static func load<T: Decodable>(_ name: String, as type: T.Type = T.self) throws -> T {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: "\(name).json")))
    }

    /// The folder of vectors that are kept elsewhere; `nil` when nobody says where.
    static let elsewhere = ProcessInfo.processInfo.environment["TESSERA_VECTORS"].flatMap { path in
        path.isEmpty ? nil : URL(filePath: path)
    }

    /// Decodes one of C2SP's Wycheproof files.
    static func wycheproof<T: Decodable>(_ name: String, as type: T.Type = T.self) throws -> T {
        guard let elsewhere else { throw NotThere() }
        return try JSONDecoder().decode(
            type,
            from: Data(contentsOf: elsewhere.appending(path: "wycheproof/\(name).json"))
        )
    }

    private struct NotThere: Error {}

    static func text(_ name: String) throws -> String {
        try String(contentsOf: folder.appending(path: name), encoding: .utf8)
    }
}

/// Bytes written in hexadecimal.
struct HexBytes: Decodable {
    let bytes: [UInt8]

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let bytes = Hex.decode(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not hexadecimal")
        }
        self.bytes = bytes
    }
}
