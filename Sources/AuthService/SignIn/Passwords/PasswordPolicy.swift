// Length counts most (NIST SP 800-63B §5.1.1.2); there are no composition rules.
import ServiceKit

struct PasswordPolicy: Sendable {
    /// Unicode scalars: "each Unicode code point SHALL be counted as a single character" (NIST SP 800-63B §5.1.1.2).
    let minimum: Int
    /// Bytes; limits the cost of a hash.
    static let maximum = 1024

    /// `own`: the user's email and names, which are refused as the password.
    func violation(_ password: RequestText, own: [RequestText?]) -> FieldError? {
        if password.hasMore(scalarsThan: Self.maximum) {
            let detail = "must have at most \(Self.maximum) characters"
            return FieldError("password", "too_long", detail, .atMost(Self.maximum))
        }
        if !password.hasMore(scalarsThan: minimum - 1) {
            return FieldError("password", "too_short", "must have at least \(minimum) characters", .atLeast(minimum))
        }
        let key = LookupKey.of(password)
        let words = own.compactMap(\.self).flatMap { [$0] + $0.pieces(between: "@", maxSplits: 1).prefix(1) }
        if words.contains(where: { !$0.isEmpty && LookupKey.of($0) == key }) {
            return FieldError("password", "too_guessable", "must not be your own email or name")
        }
        return nil
    }
}
