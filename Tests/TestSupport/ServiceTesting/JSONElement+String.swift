package import ServiceKit

extension JSONElement {
    /// A text as a `String`: tests know what they compare.
    package var string: String? { text?.verbatim }
}
