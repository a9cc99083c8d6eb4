// The registry, as `tessera settings` and the help of the flags show it.
import ArgumentParser

extension ConfigurationKey {
    /// The default, in a few words without Markdown.
    private var initial: String {
        switch fallback {
        case .value(let text): text
        case .described(let words): words.replacing("`", with: "")
        }
    }

    /// All settings, as `tessera settings` lists them.
    static var help: String {
        all.map { key in
            """
            \(key.name)\(key.isSecret ? " (or \(key.name)_FILE)" : "")
                \(key.meaning.replacing("`", with: ""))
                \(key.kind.label.replacing("`", with: "")); default: \(key.initial)
            """
        }
        .joined(separator: "\n")
    }
}

extension ArgumentHelp {
    /// The help of a flag that sets `key`.
    static func setting(_ key: ConfigurationKey) -> ArgumentHelp {
        ArgumentHelp("\(key.name): \(key.meaning.replacing("`", with: "")).")
    }
}
