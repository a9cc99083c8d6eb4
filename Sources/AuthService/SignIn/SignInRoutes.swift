import HTTPTypes
import Hummingbird
import ServiceKit

extension SignInContext {
    /// SECURITY: a device's cookie counts only where the request sets a session's cookie too, which no other site can
    /// cause (`CSRFMiddleware`).
    init(_ request: Request, _ context: AuthRequestContext, _ devices: DeviceCookiePolicy) throws {
        let wantsCookie = try context.query[Self.cookie] ?? false
        // Otherwise the answer would be 201, and the browser would drop the cookie without a word.
        if wantsCookie, CSRFMiddleware.isCrossSite(request.headers) { throw APIError.cookieCrossSite }
        self.init(
            clientInfo: context.clientInfo(of: request),
            wantsCookie: wantsCookie,
            device: wantsCookie ? devices.value(in: request.headers) : nil
        )
    }

    private static let cookie = QueryParameter.boolean(CSRFMiddleware.cookieParameter)
    /// What every way in takes in its query.
    static let query = QueryDeclaration(cookie)
}

extension Response {
    static func signedIn(_ signedIn: SignedIn, status: HTTPResponse.Status) -> Response {
        var headers: HTTPFields = [:]
        headers[values: .setCookie] = signedIn.setCookies
        return .json(signedIn.response.json(), status: status, headers: headers)
    }
}

extension SignInError: ClosedError {
    package var answer: any Error {
        switch self {
        case .invalidCredentials: APIError(.invalidCredentials)
        case .userInactive: APIError(.userInactive)
        case .ended(let refusal): refusal
        case .rateLimited(let error): error
        case .overloaded(let seconds): APIError.retry(.hashingOverloaded, afterSeconds: seconds)
        case .fault(let error): error
        }
    }
}

extension RateLimited: DomainError {
    package var answer: any Error {
        var error = APIError.retry(.rateLimited, afterSeconds: seconds)
        error.headers[.rateLimit] = "\"default\";r=0;t=\(seconds)"
        return error
    }
}

extension APIError {
    static let cookieCrossSite = APIError(
        .cookieCrossSite,
        detail: """
            The request has Sec-Fetch-Site: cross-site. Serve the page from the same site as the public URL \
            (localhost and 127.0.0.1 are two sites), or sign in without cookie=true and keep the tokens.
            """
    )
}
