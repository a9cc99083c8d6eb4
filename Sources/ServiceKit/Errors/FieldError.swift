// What is wrong with one field, for people in `message` and for programs in `code` and `params`.

/// One entry of a problem's `errors`.
package struct FieldError: Sendable, Hashable {
    /// Such as `email` or `messages[2].role`.
    package let field: String
    /// `required`, `wrong_type`, `unknown_field`, `unknown_parameter`, `repeated_parameter`, `too_short`, `too_long`,
    /// `out_of_range`, `invalid`.
    package let code: String
    package let message: String
    /// The values that the message names.
    package let params: FieldParams

    package init(_ field: String, _ code: String, _ message: String, _ params: FieldParams = .none) {
        self.field = field
        self.code = code
        self.message = message
        self.params = params
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.field("field", field)
            writer.field("code", code)
            writer.field("message", message)
            if params != .none { writer.key(of: "params") { params.write(to: &$0) } }
        }
    }
}

/// The values that a message names, so that a client can say the same in another language.
package struct FieldParams: Sendable, Hashable {
    /// A number, or text where the field is text: a day, a duration.
    package enum Bound: Sendable, Hashable {
        case number(Int64)
        case text(String)
    }

    /// The least value, length or count.
    package var min: Bound?
    /// The greatest value, length or count.
    package var max: Bound?
    /// Every value that would be taken; `nil` if the message lists none.
    package var allowed: [String]?

    private init(min: Bound? = nil, max: Bound? = nil, allowed: [String]? = nil) {
        self.min = min
        self.max = max
        self.allowed = allowed
    }

    /// The message names no value.
    package static let none = FieldParams()

    package static func range(_ range: ClosedRange<some BinaryInteger>) -> Self {
        Self(min: .number(Int64(clamping: range.lowerBound)), max: .number(Int64(clamping: range.upperBound)))
    }

    package static func range(_ min: String, _ max: String) -> Self { Self(min: .text(min), max: .text(max)) }

    package static func atLeast(_ min: Int) -> Self { Self(min: .number(Int64(min))) }

    package static func atLeast(_ min: String) -> Self { Self(min: .text(min)) }

    package static func atMost(_ max: Int) -> Self { Self(max: .number(Int64(max))) }

    package static func atMost(_ max: String) -> Self { Self(max: .text(max)) }

    package static func oneOf(_ allowed: [String]) -> Self { Self(allowed: allowed) }

    fileprivate func write(to writer: inout JSONWriter) {
        writer.object { writer in
            if let min { writer.key(of: "min") { Self.write(min, &$0) } }
            if let max { writer.key(of: "max") { Self.write(max, &$0) } }
            if let allowed { writer.field("allowed", allowed) }
        }
    }

    private static func write(_ bound: Bound, _ writer: inout JSONWriter) {
        switch bound {
        case .number(let number): writer.integer(number)
        case .text(let text): writer.string(text)
        }
    }
}
