// Where a request came from.
package import ServiceKit

/// The address and the agent of a request, as audit rows and sessions remember it.
package struct Origin: Sendable, Hashable {
    package let address: ClientAddress
    package let userAgent: String?

    package init(address: ClientAddress, userAgent: String?) {
        self.address = address
        // A header may be megabytes long; a row should not be.
        self.userAgent = userAgent.map { String($0.prefix(512)) }
    }

    package static let commandLine = Origin(address: .unknown, userAgent: "tessera")
}
