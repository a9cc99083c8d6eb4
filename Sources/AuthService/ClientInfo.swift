package import ServiceKit

/// A request's address and agent, for audit rows and sessions.
package struct ClientInfo: Sendable, Hashable {
    package let address: ClientAddress
    package let userAgent: RequestText?

    /// Bytes of an agent's name that are kept.
    private static let maxAgentBytes = 512

    package init(address: ClientAddress, userAgent: RequestText?) {
        self.address = address
        self.userAgent = userAgent?.prefix(bytes: Self.maxAgentBytes)
    }

    package static let commandLine = ClientInfo(address: .unknown, userAgent: "tessera")
    /// What a node does by itself.
    package static let maintenance = ClientInfo(address: .unknown, userAgent: "tessera maintenance")
}
