// Length counts most (NIST SP 800-63B §5.1.1.2); there are no composition rules.
import ServiceKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct PasswordPolicy: Sendable {
    /// Characters, as a person counts them.
    let minimum: Int
    /// Bytes; limits the cost of a hash.
    static let maximum = 1024

    /// `own`: the user's email and names, which are refused as the password.
    func violation(_ password: String, own: [String?]) -> FieldError? {
        if password.utf8.count > Self.maximum {
            return FieldError("password", "too_long", "must be at most \(Self.maximum) bytes")
        }
        if password.count < minimum {
            return FieldError("password", "too_short", "must have at least \(minimum) characters")
        }
        let lowered = password.lowercased()
        let words = own.compactMap(\.self).flatMap { [$0, String($0.prefix { $0 != "@" })] }
        if words.contains(where: { !$0.isEmpty && $0.lowercased() == lowered }) {
            return FieldError("password", "too_guessable", "must not be your own email or name")
        }
        return nil
    }
}
