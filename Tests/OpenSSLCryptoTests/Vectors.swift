// The RFCs' vectors are in Tests/Vectors. C2SP's are not in the repository: TESSERA_VECTORS names their folder.

import Foundation
import OpenSSLCrypto

enum Vectors {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "Vectors")

    static func load<T: Decodable>(_ name: String, as type: T.Type = T.self) throws -> T {
        try JSONDecoder().decode(type, from: Data(contentsOf: folder.appending(path: "\(name).json")))
    }

    /// `nil` if TESSERA_VECTORS is not set.
    static let elsewhere = ProcessInfo.processInfo.environment["TESSERA_VECTORS"].flatMap { path in
        path.isEmpty ? nil : URL(filePath: path)
    }

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
