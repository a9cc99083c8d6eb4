import Hummingbird
import ServiceKit

struct NoContext: WebRequestContext {
    var coreContext: CoreRequestContextStorage
    var requestID = ""
    var clientAddress = ClientAddress.unknown
    let peerAddress: String? = nil

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
    }
}
