// Settings that are weaker than their defaults: each change of them is one audit row, however often nodes start.
import ServiceKit
import Storage

struct WeakSettings: Sendable {
    let database: any SQLDatabase
    let clock: Clock
    let audit: Audit

    /// At the start of a node that serves.
    ///
    /// - Parameter settings: what is weaker than the default, by the setting's name; no secrets.
    /// - Throws: storage faults.
    func record(_ settings: [String: String]) async throws(StorageError) {
        let after = JSONWriter.value { writer in
            writer.object { writer in
                for (name, value) in settings.sorted(by: { $0.key < $1.key }) {
                    writer.key(named: name) { $0.string(String(value.prefix(Self.maxCharacters))) }
                }
            }
        }
        let stored = try await database.run(WeakSettingStatements.read()).first
        let before = try stored?.text("text_value") ?? "{}"
        guard before != after else { return }
        let now = clock.now()
        var transaction = Transaction()
        transaction.add(WeakSettingStatements.write(value: after, at: now))
        transaction.add(
            audit.entry(
                action: "settings.weaken",
                ifSetting: WeakSettingStatements.key,
                from: .commandLine,
                details: AuditDetails { writer in
                    writer.field("before", raw: before)
                    writer.field("after", raw: after)
                },
                at: now
            )
        )
        _ = try await database.run(transaction)
    }

    private static let maxCharacters = 200
}

enum WeakSettingStatements {
    /// In `settings`.
    static let key = "weak_settings"

    private static let stored = Statement(
        "weak_settings.read",
        .reads,
        "SELECT text_value FROM settings WHERE key = 'weak_settings'"
    )

    static func read() -> BoundStatement { stored.bind() }

    private static let write = Statement(
        "weak_settings.write",
        .writes,
        ["value": .text, "now": .instant],
        """
        INSERT INTO settings (key, text_value, updated_at) VALUES ('weak_settings', :value, :now)
        ON CONFLICT (key) DO UPDATE SET text_value = excluded.text_value, updated_at = excluded.updated_at
        WHERE settings.text_value <> excluded.text_value
        """
    )

    /// Changes nothing if another node has just recorded the same.
    static func write(value: String, at now: Instant) -> BoundStatement { write.bind(["value": value, "now": now]) }

    static let all = [stored, write]
}
