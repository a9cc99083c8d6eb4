// Where a PostgreSQL URL has its password, read as libpq reads it (fe-connect.c, conninfo_uri_parse_options): the user
// part ends at the first `@`, if that comes before the first `/`.

import Foundation

extension DatabaseURL {
    /// Whether the text of a URL has a password, in the user part or among the parameters.
    static func holdsPassword(_ text: String) -> Bool {
        guard let (user, rest) = parts(text) else { return false }
        let parameters = rest.split(separator: "?", maxSplits: 1).dropFirst().first ?? ""
        let names = parameters.split(separator: "&").map { $0.prefix { $0 != "=" }.lowercased() }
        // A name may be percent-encoded.
        return user.contains(":") || names.contains { $0.contains("password") || $0.contains("%") }
    }

    /// Whether a password has characters that end it early. Its rest would be taken for a host and shown in errors.
    static func isAmbiguous(_ text: String) -> Bool {
        guard let (_, rest) = parts(text) else { return false }
        return rest.prefix { $0 != "?" }.contains("@")
    }

    /// Hosts and name, without user, password and parameters.
    static func place(_ text: String) -> String {
        guard let (_, rest) = parts(text) else { return "" }
        return String(rest.prefix { $0 != "?" }.split(separator: "@").last ?? "")
    }

    private static func parts(_ text: String) -> (user: Substring, rest: Substring)? {
        guard let scheme = text.range(of: "://"), text.hasPrefix("postgres") else { return nil }
        let all = text[scheme.upperBound...]
        let user = all.prefix { $0 != "@" && $0 != "/" }
        guard user.endIndex < all.endIndex, all[user.endIndex] == "@" else { return ("", all) }
        return (user, all[all.index(after: user.endIndex)...])
    }
}
