// The stored text of a password: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<tag>`, the PHC string format as Argon2's
// reference implementation writes it. It names its own parameters, so imported hashes and those of older settings still
// work.

internal import OpenSSLCrypto

package enum PHCError: Error, Sendable, Equatable {
    case malformed
    case unsupportedFunction
    case unsupportedVersion
    /// The cost exceeds the bounds of `Argon2Parameters`; carries the parameter's name.
    case costOutOfBounds(String)
    case lengthOutOfBounds
}

package struct PHCString: Sendable, Equatable {
    /// New hashes are always `argon2id`.
    package enum Variant: String, Sendable {
        case argon2d, argon2i, argon2id
    }

    package let variant: Variant
    /// 19 (0x13) of RFC 9106, or the older 16 (0x10).
    package let version: Int
    package let parameters: Argon2Parameters
    package let salt: [UInt8]
    package let tag: [UInt8]

    init(variant: Variant, version: Int, parameters: Argon2Parameters, salt: [UInt8], tag: [UInt8]) {
        self.variant = variant
        self.version = version
        self.parameters = parameters
        self.salt = salt
        self.tag = tag
    }

    /// Reads exactly what `text` writes, or the same without `$v=`, which means version 16.
    package init(_ text: String) throws(PHCError) {
        guard text.utf8.count <= 300 else { throw .malformed }
        var fields = text.split(separator: "$", omittingEmptySubsequences: false)[...]
        guard let first = fields.popFirst(), first.isEmpty, let name = fields.popFirst() else { throw .malformed }
        guard let variant = Variant(rawValue: String(name)) else { throw .unsupportedFunction }
        var version = 16
        if let field = fields.first, field.hasPrefix("v=") {
            guard let number = Self.number(field, "v") else { throw .malformed }
            version = number
            fields.removeFirst()
        }
        guard version == 16 || version == 19 else { throw .unsupportedVersion }
        guard fields.count == 3, let cost = fields.popFirst() else { throw .malformed }
        let values = cost.split(separator: ",", omittingEmptySubsequences: false)
        guard
            values.count == 3,
            let memory = Self.number(values[0], "m"),
            let iterations = Self.number(values[1], "t"),
            let parallelism = Self.number(values[2], "p"),
            let salt = fields.popFirst().flatMap({ Base64.decode($0, padded: false) }),
            let tag = fields.popFirst().flatMap({ Base64.decode($0, padded: false) })
        else { throw .malformed }
        guard (8...64).contains(salt.count), (12...64).contains(tag.count) else { throw .lengthOutOfBounds }
        let parameters = Argon2Parameters(memoryKiB: memory, iterations: iterations, parallelism: parallelism)
        try parameters.validate()
        self.init(variant: variant, version: version, parameters: parameters, salt: salt, tag: tag)
    }

    package var text: String {
        let cost = "m=\(parameters.memoryKiB),t=\(parameters.iterations),p=\(parameters.parallelism)"
        let (salt, tag) = (Base64.encode(salt, padded: false), Base64.encode(tag, padded: false))
        return "$\(variant.rawValue)$v=\(version)$\(cost)$\(salt)$\(tag)"
    }

    func isWeaker(than parameters: Argon2Parameters) -> Bool {
        variant != .argon2id || version != 19 || salt.count < 16 || tag.count < 32
            || self.parameters.isBelow(parameters)
    }

    /// Reads `name=…`: decimal, no sign, no leading zero, at most 2^32 - 1.
    private static func number(_ field: Substring, _ name: String) -> Int? {
        guard field.hasPrefix(name + "=") else { return nil }
        let digits = field.dropFirst(name.count + 1)
        guard
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits.utf8.first != UInt8(ascii: "0"), let value = UInt32(digits)
        else { return nil }
        return Int(value)
    }
}
