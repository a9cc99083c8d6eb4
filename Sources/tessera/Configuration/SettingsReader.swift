// Reads settings from flags, the environment, then the file; the first that has the key counts.
import Configuration
import Foundation
import ServiceKit
import Synchronization
import SystemPackage

/// Typed access to settings. ConfigurationRegistry.swift defines what is acceptable.
struct SettingsReader: Sendable {
    private let flags: [String: String]
    private let environment: [String: String]
    private let file: ConfigReader?

    /// - Parameters:
    ///   - flags: by the key's name, or the variable that names a secret's file.
    ///   - environment: of the process.
    ///   - path: a YAML file, or nil.
    /// - Throws: when the file is unreadable, or a name is not a setting.
    init(flags: [String: String], environment: [String: String], file path: String?) async throws {
        self.flags = flags
        self.environment = environment
        try SettingNames.refuseUnknown(flags: flags.keys, environment: environment.keys)
        self.file = try await path.asyncMap(Self.read)
    }

    private static func read(_ path: String) async throws -> ConfigReader {
        let seen = Mutex<[String]>([])
        let provider: FileProvider<YAMLSnapshot>
        do {
            // Called for every key of the file. It is the only API that lists them.
            let isSecret = SecretsSpecifier<String, Void>.dynamic { name, _ in
                seen.withLock { $0.append(name) }
                return ConfigurationKey.all.first { $0.fileKey == name }?.isSecret ?? true
            }
            provider = try await FileProvider(
                parsingOptions: .init(secretsSpecifier: isSecret),
                filePath: FilePath(path)
            )
        } catch {
            throw ConfigurationError(key: "--config", "must name a readable YAML file of keys and values")
        }
        try SettingNames.refuseUnknown(inFile: seen.withLock(\.self))
        return ConfigReader(provider: provider)
    }

    func text(_ key: ConfigurationKey) throws -> String? {
        for source in [flags, environment] {
            let direct = source[key.name].flatMap { $0.isEmpty ? nil : $0 }
            let path = key.fileVariable.flatMap { source[$0] }.flatMap { $0.isEmpty ? nil : $0 }
            switch (direct, path) {
            case (let value?, nil): return value
            case (nil, let path?): return try contents(of: path, key)
            case (nil, nil): continue
            case (_?, _?): throw ConfigurationError(key, "and \(key.name)_FILE are both set; one of them must go")
            }
        }
        guard let file else { return nil }
        let name = ConfigKey([key.fileKey])
        return file.string(forKey: name, isSecret: key.isSecret)
            ?? file.stringArray(forKey: name, isSecret: key.isSecret)?.joined(separator: ",")
    }

    func isSet(_ key: ConfigurationKey) throws -> Bool { try text(key) != nil }

    /// Whether the value itself is in the environment, and not in a file that a variable names.
    func isInEnvironment(_ key: ConfigurationKey) -> Bool {
        let names = [key.name, key.fileVariable].compactMap(\.self)
        return names.allSatisfy { flags[$0, default: ""].isEmpty } && !environment[key.name, default: ""].isEmpty
    }

    /// Whether flags or environment name a value or its file; the value is not looked at.
    func isGiven(_ key: ConfigurationKey) -> Bool {
        [flags, environment].contains { source in
            [key.name, key.fileVariable].compactMap(\.self).contains { !(source[$0] ?? "").isEmpty }
        }
    }

    private func contents(of path: String, _ key: ConfigurationKey) throws -> String {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw ConfigurationError(key: "\(key.name)_FILE", "must name a readable file")
        }
        let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !secret.isEmpty else { throw ConfigurationError(key: "\(key.name)_FILE", "names an empty file") }
        return secret
    }

    private func textOrFallback(_ key: ConfigurationKey) throws -> String? {
        if let text = try text(key) { return text }
        guard case .value(let text) = key.fallback else { return nil }
        return text
    }

    /// `value` is the default of a key that has no fixed one.
    func line(_ key: ConfigurationKey, else value: String = "") throws -> String {
        guard let text = try textOrFallback(key) else { return value }
        // SECURITY: such a value would end up in a URL, a token or a log line.
        guard text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
            throw ConfigurationError(key)
        }
        return text
    }

    func number(_ key: ConfigurationKey, else value: Int = 0) throws -> Int {
        guard let text = try textOrFallback(key) else { return value }
        let range =
            switch key.kind {
            case .number(let range): range
            default: 1...65_535
            }
        guard let number = Int(text), range.contains(number) else { throw ConfigurationError(key) }
        return number
    }

    /// A whole number of bytes, or of `KiB`, `MiB` or `GiB`, with or without a space between.
    func size(_ key: ConfigurationKey) throws -> Int {
        let units = [("gib", 1 << 30), ("mib", 1 << 20), ("kib", 1 << 10)]
        guard let text = try textOrFallback(key)?.lowercased(), case .size(let range) = key.kind else {
            throw ConfigurationError(key)
        }
        let (suffix, length) = units.first { text.hasSuffix($0.0) } ?? ("", 1)
        guard let number = Int(text.dropLast(suffix.count).filter { $0 != " " }), number >= 0,
            case let (bytes, overflow) = number.multipliedReportingOverflow(by: length), !overflow,
            range.contains(bytes)
        else { throw ConfigurationError(key) }
        return bytes
    }

    /// A whole number with `s`, `m`, `h` or `d`.
    func duration(_ key: ConfigurationKey) throws -> Duration {
        guard case .duration(let range) = key.kind else { throw ConfigurationError(key) }
        return try duration(key, within: range)
    }

    func durationUnlessChoice(_ key: ConfigurationKey) throws -> Duration? {
        guard case .choiceOrDuration(let choices, let range) = key.kind else { throw ConfigurationError(key) }
        if let text = try textOrFallback(key), choices.contains(text.lowercased()) { return nil }
        return try duration(key, within: range)
    }

    private func duration(_ key: ConfigurationKey, within range: ClosedRange<Int>) throws -> Duration {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
        guard let text = try textOrFallback(key),
            let unit = text.last.flatMap({ units[$0] }), let number = Int(text.dropLast()), number >= 0,
            case let (seconds, overflow) = number.multipliedReportingOverflow(by: unit), !overflow,
            range.contains(seconds)
        else { throw ConfigurationError(key) }
        return .seconds(seconds)
    }

    /// A whole number with `ms`, or a duration as above.
    func shortDuration(_ key: ConfigurationKey) throws -> Duration {
        let units = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)]
        guard let text = try textOrFallback(key), case .shortDuration(let range) = key.kind,
            let (suffix, length) = units.first(where: { text.hasSuffix($0.0) }),
            let number = Int(text.dropLast(suffix.count)), number >= 0,
            case let (milliseconds, overflow) = number.multipliedReportingOverflow(by: length), !overflow,
            range.contains(milliseconds)
        else { throw ConfigurationError(key) }
        return .milliseconds(milliseconds)
    }

    /// Comma-separated, with white space trimmed.
    func list(_ key: ConfigurationKey) throws -> [String] {
        guard let text = try textOrFallback(key) else { return [] }
        let entries = text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        if entries.isEmpty { throw ConfigurationError(key) }
        return entries
    }

    /// In the key's own spelling; `nil` if the key is not set and has no fixed default.
    func choice(_ key: ConfigurationKey) throws -> String? {
        guard let text = try textOrFallback(key) else { return nil }
        guard case .choice(let choices) = key.kind,
            let choice = choices.first(where: { $0.lowercased() == text.lowercased() })
        else { throw ConfigurationError(key) }
        return choice
    }
}

extension Optional {
    fileprivate func asyncMap<T>(_ body: (Wrapped) async throws -> T) async throws -> T? {
        guard let self else { return nil }
        return try await body(self)
    }
}
