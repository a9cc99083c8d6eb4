// Fields of requests as text of requests. Elsewhere no field of a request is read but its value is compared by bytes.
package import HTTPTypes
package import Hummingbird

extension HTTPFields {
    /// A field's value; several lines are one list (RFC 9110 §5.3).
    package func text(_ name: HTTPField.Name) -> RequestText? { self[name].map { RequestText($0) } }

    /// The value of each line of a field.
    package func texts(_ name: HTTPField.Name) -> [RequestText] { self[values: name].map { RequestText($0) } }

    /// The elements of a field that is a list, without the white space around them (RFC 9110 §5.6.1).
    package func elements(_ name: HTTPField.Name) -> [RequestText] {
        texts(name).flatMap { $0.pieces(between: ",") }.map(\.trimmingSpaces).filter { !$0.isEmpty }
    }
}

extension Request {
    /// The type of the body, in lower case and without its parameters (RFC 9110 §8.3.1); `nil` also for one that is no
    /// name.
    package var mediaType: String? {
        headers.text(.contentType)?.pieces(between: ";").first?.trimmingSpaces.keyword
    }
}
