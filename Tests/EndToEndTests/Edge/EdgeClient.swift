// A client that sends exactly what a case has written: no path is tidied, no field is added but those that it names.
import Foundation
import TestSupport
import Testing

struct EdgeClient: Sendable {
    let port: Int

    struct Answer: Sendable {
        let status: Int
        /// By names in lower case; fields of one name are joined.
        let headers: [String: String]
        let text: String

        var json: JSONValue { (try? JSONValue(parsing: text)) ?? .null }
        subscript(member: String) -> JSONValue { json[member] }
    }

    struct Unreadable: Error, CustomStringConvertible {
        let description: String
    }

    /// Sends one request on a connection of its own. The path goes out as it is written.
    func send(
        _ method: String,
        _ path: String,
        json: JSONValue? = nil,
        body: [UInt8]? = nil,
        token: String? = nil,
        headers: [(String, String)] = []
    ) async throws -> Answer {
        // Two requests with one value have the same bytes.
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let body = try json.map { Array(try encoder.encode($0)) } ?? body
        var fields = [("Host", "127.0.0.1:\(port)"), ("Connection", "close")]
        if let token { fields.append(("Authorization", "Bearer \(token)")) }
        if let body {
            fields += [("Content-Type", "application/json"), ("Content-Length", "\(body.count)")]
        }
        let head = (fields + headers).map { "\($0.0): \($0.1)\r\n" }.joined()
        let connection = try RawConnection(port: port)
        try connection.send(Array("\(method) \(path) HTTP/1.1\r\n\(head)\r\n".utf8) + (body ?? []))
        return try Self.answer(try await connection.receiveUntilClosed(within: .seconds(60)))
    }

    /// Sends bytes, and returns what comes until the connection ends or enough has come.
    func raw(
        _ text: String,
        within limit: Duration = .seconds(20),
        until isEnough: @escaping @Sendable (String) -> Bool = { _ in false }
    ) async throws -> (text: String, isClosed: Bool) {
        let connection = try RawConnection(port: port)
        try connection.send(text)
        return await connection.receive(within: limit, until: isEnough)
    }

    static func answer(_ text: String) throws -> Answer {
        guard let end = text.range(of: "\r\n\r\n") else {
            throw Unreadable(description: "no head in: \(text.prefix(200))")
        }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else {
            throw Unreadable(description: "no status in: \(text.prefix(200))")
        }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let name = line.prefix { $0 != ":" }.lowercased()
            let value = line.drop { $0 != ":" }.dropFirst().trimmingCharacters(in: .whitespaces)
            headers[name] = headers[name].map { "\($0), \(value)" } ?? value
        }
        let body = String(text[end.upperBound...])
        return Answer(
            status: status,
            headers: headers,
            text: headers["transfer-encoding"] == "chunked" ? dechunked(body) : body
        )
    }

    private static func dechunked(_ text: String) -> String {
        var rest = Array(text.utf8)[...]
        var body: [UInt8] = []
        while let end = rest.firstIndex(of: 0x0D),
            let size = Int(String(decoding: rest[..<end], as: UTF8.self), radix: 16), size > 0
        {
            let chunk = rest[end...].dropFirst(2)
            body += chunk.prefix(size)
            rest = chunk.dropFirst(size + 2)
        }
        return String(decoding: body, as: UTF8.self)
    }
}
