package import ServiceKit

/// A request's address and agent, for audit rows and sessions.
package struct ClientInfo: Sendable, Hashable {
    package let address: ClientAddress
    package let userAgent: String?

    package init(address: ClientAddress, userAgent: String?) {
        self.address = address
        // A header may be megabytes long.
        self.userAgent = userAgent.map { String($0.prefix(512)) }
    }

    package static let commandLine = ClientInfo(address: .unknown, userAgent: "tessera")
}
