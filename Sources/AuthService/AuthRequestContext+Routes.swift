// What routes ask of a request.
import Hummingbird
import ServiceKit

extension AuthRequestContext {
    /// The caller; the routes that ask are mounted behind `CallerMiddleware`, which refuses requests without one.
    func requireCaller() throws(APIError) -> Caller {
        guard let caller else { throw APIError(.tokenMissing) }
        return caller
    }

    func origin(of request: Request) -> Origin {
        Origin(address: clientAddress, userAgent: request.headers[.userAgent])
    }

    /// An id from the path; anything that cannot be an id is simply not there.
    func id(_ name: String = "id") throws(APIError) -> String {
        guard let id = parameters.get(name), RowID.isValid(id) else { throw APIError(.notFound) }
        return id
    }
}

/// Bodies of auth are small; nothing it takes comes near this.
let bodyLimit = 64 * 1024
