import ArgumentParser

extension ConfigurationKey {
    private var initial: String {
        switch fallback {
        case .value(let text): text
        case .described(let words): words.replacing("`", with: "")
        }
    }

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
    static func setting(_ key: ConfigurationKey) -> ArgumentHelp {
        ArgumentHelp("\(key.name): \(key.meaning.replacing("`", with: "")).")
    }
}
