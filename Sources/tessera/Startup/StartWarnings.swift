// What weakens a server, named when it starts. What would be wrong for everyone refuses to start instead.
import Logging
import ServiceKit

struct StartWarning: Equatable {
    let message: String
    let fields: [String: String]

    init(_ message: String, _ key: ConfigurationKey, _ fields: [String: String] = [:]) {
        self.message = message
        self.fields = fields.merging(["setting": key.name]) { given, _ in given }
    }
}

enum ServerKind {
    case dev, auth, chat
}

extension Settings {
    func logWarnings(of kind: ServerKind, _ logger: Logger) throws {
        for warning in try warnings(of: kind) {
            logger.warning("\(warning.message)", metadata: warning.fields.mapValues { .string($0) })
        }
    }

    func warnings(of kind: ServerKind) throws -> [StartWarning] {
        var warnings: [StartWarning] = []
        if !requests.isOn {
            warnings.append(StartWarning("attempts and requests are not limited; off is for benchmarks", .rateLimits))
        }
        for key in ConfigurationKey.all where key.kind == .keyRing && reader.isInEnvironment(key) {
            let message = "a key ring is in the environment, where child processes and crash reports find it"
            warnings.append(StartWarning(message, key, ["instead": key.fileVariable ?? ""]))
        }
        warnings += kind == .dev ? developmentWarnings : plainWarnings(of: kind)
        if try kind == .chat || reader.isSet(.authURL), authURL.hasPrefix("http://"),
            !Origin.isLoopback(origin: authURL)
        {
            let message = "chat reaches auth by http: its secret and the keys travel in the clear"
            warnings.append(StartWarning(message, .authURL, ["url": authURL]))
        }
        // Chat takes no cookie.
        if kind != .chat { warnings += siteWarnings }
        return warnings
    }

    private var developmentWarnings: [StartWarning] {
        let message = "tessera dev is for development, and others can reach this one: use tessera auth and tessera chat"
        var warnings: [StartWarning] = []
        if !auth.isLoopback { warnings.append(StartWarning(message, .host, ["address": auth.description])) }
        for (key, url) in [(ConfigurationKey.publicURL, publicURL), (.chatPublicURL, chatPublicURL)]
        where !Origin.isLoopback(origin: url) {
            warnings.append(StartWarning(message, key, ["url": url]))
        }
        return warnings
    }

    private func plainWarnings(of kind: ServerKind) -> [StartWarning] {
        let (key, url): (ConfigurationKey, _) =
            kind == .auth ? (.publicURL, publicURL) : (.chatPublicURL, chatPublicURL)
        guard url.hasPrefix("http://") else { return [] }
        let message = "the public URL is http: tokens travel in the clear, and cookies are not Secure"
        return [StartWarning(message, key, ["url": url])]
    }

    private var siteWarnings: [StartWarning] {
        corsOrigins.filter { !Site.isSame($0, publicURL) }.map { origin in
            let message = "pages of this origin are on another site than the public URL: browsers drop the cookie there"
            return StartWarning(message, .corsOrigins, ["origin": origin, "public_url": publicURL])
        }
    }
}

extension ListenAddress {
    fileprivate var isLoopback: Bool {
        Origin.isLoopback(origin: "http://\(self)")
    }
}
