import Hummingbird
import ServiceKit

extension AuthRequestContext {
    /// The route must be mounted behind `CallerMiddleware`, which refuses requests without a caller.
    func requireCaller() throws(APIError) -> Caller {
        guard let caller else { throw APIError(.tokenMissing) }
        return caller
    }

    func clientInfo(of request: Request) -> ClientInfo {
        ClientInfo(address: clientAddress, userAgent: request.headers.text(.userAgent))
    }
}

/// Far above any body that auth accepts.
let bodyLimit = 64 * 1024
