import ServiceKit
import Storage

enum PasswordCostStatements {
    private static let makeSeed = Statement(
        "password_costs.make_seed",
        .writes,
        ["text": .text, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('password_cost_seed', :text, :now)
        ON CONFLICT (key) DO NOTHING
        """
    )

    /// Once; the first node decides.
    static func makeSeed(text: String, at now: Instant) -> BoundStatement { makeSeed.bind(["text": text, "now": now]) }

    private static let readSeed = Statement(
        "password_costs.seed",
        .reads,
        "SELECT text_value FROM settings WHERE key = 'password_cost_seed'"
    )

    static func seed() -> BoundStatement { readSeed.bind() }

    private static let readCosts = Statement(
        "password_costs.read",
        .reads,
        "SELECT text_value, updated_at FROM settings WHERE key = 'password_costs'"
    )

    static func costs() -> BoundStatement { readCosts.bind() }

    private static let claim = Statement(
        "password_costs.claim",
        .writes,
        ["since": .instant, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('password_costs', '', :now)
        ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at WHERE settings.updated_at = :since
        """
    )

    /// Affects nothing where another node has claimed the count since then.
    static func claim(since instant: Instant?, at now: Instant) -> BoundStatement {
        claim.bind(["since": instant, "now": now])
    }

    private static let save = Statement(
        "password_costs.save",
        .writes,
        ["text": .text],
        "UPDATE settings SET text_value = :text WHERE key = 'password_costs'"
    )

    static func save(text: String) -> BoundStatement { save.bind(["text": text]) }

    private static let page = Statement(
        "password_costs.page",
        .reads,
        ["after": .text, "limit": .integer],
        "SELECT id, password_hash FROM accounts WHERE id > :after ORDER BY id LIMIT :limit"
    )

    static func page(after id: String, limit: Int64) -> BoundStatement { page.bind(["after": id, "limit": limit]) }

    static let all = [makeSeed, readSeed, readCosts, claim, save, page]
}
