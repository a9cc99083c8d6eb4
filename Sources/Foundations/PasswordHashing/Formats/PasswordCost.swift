/// What computing a hash takes: all of a stored text but its salt and its tag.
package struct PasswordCost: Sendable, Hashable {
    private let variant: PHCString.Variant
    private let version: Int
    private let parameters: Argon2Parameters
    private let saltCount: Int
    private let tagCount: Int

    /// Of a stored hash.
    package init(of phc: String) throws(PHCError) {
        let stored = try PHCString(phc)
        variant = stored.variant
        version = stored.version
        parameters = stored.parameters
        saltCount = stored.salt.count
        tagCount = stored.tag.count
    }

    /// A hash of this cost that no password has: its salt and its tag are zeros. `init(of:)` reads it.
    package var text: String {
        PHCString(
            variant: variant,
            version: version,
            parameters: parameters,
            salt: [UInt8](repeating: 0, count: saltCount),
            tag: [UInt8](repeating: 0, count: tagCount)
        ).text
    }
}
