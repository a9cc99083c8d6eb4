import Foundation
import TestSupport

extension Installation {
    /// The sum over a metric's labels; `nil` before the process recorded it.
    func metric(_ name: String) async throws -> Double? {
        let address = environment["TESSERA_METRICS_ADDRESS"] ?? ""
        let values = try await Client(base: "http://\(address)").get("/metrics").text.split(separator: "\n")
            .filter { $0.prefix { $0 != "{" && $0 != " " } == name }
            .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }
        return values.isEmpty ? nil : values.reduce(0, +)
    }
}
