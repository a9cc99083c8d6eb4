import Hummingbird
import NIOCore
import ServiceKit

struct NoContext: WebRequestContext {
    var coreContext: CoreRequestContextStorage
    var requestID = ""
    var clientAddress = ClientAddress.unknown
    var target = RequestTarget("/")
    var query = QueryParameters.empty
    let peerAddress: String? = nil
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}
