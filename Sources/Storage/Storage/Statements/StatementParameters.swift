// The names, types and values of a statement's parameters, written as literals. `+` joins lists that several statements
// share.

/// The parameters of a statement, in the order of their values.
package struct StatementParameters: Sendable, ExpressibleByDictionaryLiteral {
    package let names: [String]
    package let types: [SQLType]

    package init(dictionaryLiteral elements: (String, SQLType)...) {
        self.init(elements)
    }

    package init(_ elements: [(String, SQLType)]) {
        self.init(names: elements.map(\.0), types: elements.map(\.1))
    }

    private init(names: [String], types: [SQLType]) {
        self.names = names
        self.types = types
    }

    package static func + (first: StatementParameters, second: StatementParameters) -> StatementParameters {
        StatementParameters(names: first.names + second.names, types: first.types + second.types)
    }
}

/// The values of a statement's parameters by name.
package struct StatementValues: Sendable, ExpressibleByDictionaryLiteral {
    package let elements: [(String, any SQLBindable)]

    package init(dictionaryLiteral elements: (String, any SQLBindable)...) {
        self.init(elements)
    }

    package init(_ elements: [(String, any SQLBindable)]) {
        self.elements = elements
    }

    package static func + (first: StatementValues, second: StatementValues) -> StatementValues {
        StatementValues(first.elements + second.elements)
    }
}
