// Which passwords are taken. Length counts most (NIST SP 800-63B §5.1.1.2); composition rules are not asked for.
import ServiceKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct PasswordPolicy: Sendable {
    /// Characters, as a person counts them.
    let minimum: Int
    /// Bytes; bounds what a request can make us hash.
    static let maximum = 1024

    /// Why a new password is refused, or `nil`.
    ///
    /// `own`: the user's email and names, which their password may not be.
    func complaint(_ password: String, own: [String?]) -> FieldError? {
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
