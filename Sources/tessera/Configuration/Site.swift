// Whether a browser takes two origins for one site, and so keeps a cookie of one for pages of the other.
//
// The rule is the browsers' (HTML, "same site"): one scheme, and one registrable domain or one host. A registrable
// domain is one label more than a public suffix. This knows the general rule and the suffixes below, not all 10,000 of
// publicsuffix.org. A suffix that is missing makes two sites look like one, which then is not named at the start; the
// refusal `cookie_cross_site` follows the browser itself. See docs/decisions/0046-origins-and-sites.md.

enum Site {
    /// Takes origins in their one spelling.
    static func isSame(_ one: String, _ other: String) -> Bool {
        guard one.prefix(while: { $0 != ":" }) == other.prefix(while: { $0 != ":" }) else { return false }
        let (one, other) = (Origin.host(of: one), Origin.host(of: other))
        if one == other { return true }
        guard let domain = registrableDomain(of: one) else { return false }
        return domain == registrableDomain(of: other)
    }

    /// `nil` for an address, and for a name that is a public suffix itself, such as `localhost`.
    static func registrableDomain(of host: String) -> String? {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        // An address ends in a number or a bracket, a name never does.
        guard let last = labels.last, last.contains(where: \.isLetter), !host.hasPrefix("[") else { return nil }
        let count = suffixLength(labels) + 1
        return labels.count < count ? nil : labels.suffix(count).joined(separator: ".")
    }

    private static func suffixLength(_ labels: [Substring]) -> Int {
        for count in [3, 2] where labels.count >= count {
            let suffix = labels.suffix(count)
            if suffixes.contains(suffix.joined(separator: ".")) { return count }
            // co.uk, com.au, or.jp
            if count == 2, suffix.last?.utf8.count == 2, let first = suffix.first, categories.contains(String(first)) {
                return 2
            }
        }
        return 1
    }

    /// Second levels below country codes, where domains are registered below.
    private static let categories: Set = [
        "ac", "co", "com", "edu", "go", "gob", "gov", "mil", "ne", "net", "or", "org",
    ]

    /// Where hosts of different owners stand beside each other.
    private static let suffixes: Set = [
        "amplifyapp.com", "app.render.com", "appspot.com", "azurestaticapps.net", "azurewebsites.net", "bolt.host",
        "cloudfront.net", "csb.app", "deno.dev", "duckdns.org", "firebaseapp.com", "fly.dev", "github.io", "gitlab.io",
        "herokuapp.com", "hf.space", "lovable.app", "lovableproject.com", "netlify.app", "ngrok-free.app",
        "ngrok-free.dev", "ngrok.app", "ngrok.dev", "ngrok.io", "now.sh", "onrender.com", "pages.dev", "repl.co",
        "replit.app", "replit.dev", "streamlit.app", "trycloudflare.com", "up.railway.app", "vercel.app", "vercel.dev",
        "web.app", "workers.dev",
    ]
}
