// HTTP of signup, login and password change.
import HTTPTypes
import Hummingbird
import OpenSSLCrypto
import ServiceKit

struct PasswordRoutes: Sendable {
    let passwords: Passwords
    let users: Users
    let throttle: Throttle
    let cookies: SessionCookiePolicy
    let random: RandomSource
    let sessionMaxAge: Duration

    func mount(on router: RouterGroup<AuthRequestContext>) {
        router.post("signup", use: signUp)
        router.post("login", use: logIn)
    }

    func mountAuthenticated(on router: RouterGroup<AuthRequestContext>) {
        router.post("password/change", use: change)
    }

    /// Behind `RoleMiddleware`.
    func mountAdmin(on router: RouterGroup<AuthRequestContext>) {
        router.post("users", use: create)
    }

    @Sendable private func signUp(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let origin = context.origin(of: request)
        let cookie = try wantedCookie(request)
        try await throttle.admit(.signup, from: origin)
        var body = try await request.jsonBody(limit: bodyLimit)
        let signup = Signup(reading: &body)
        try body.finish()
        guard let signup else { throw APIError(.validationFailed) }
        let grant = try await passwords.signUp(signup, origin: origin, cookie: cookie)
        return answer(grant, cookie, status: .created)
    }

    @Sendable private func logIn(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let origin = context.origin(of: request)
        let cookie = try wantedCookie(request)
        try await throttle.admit(.login, from: origin)
        var body = try await request.jsonBody(limit: bodyLimit)
        let typed = body.requiredString("email")
        let password = body.requiredString("password", max: bodyLimit)
        try body.finish()
        // An address that cannot exist is answered like one that does not.
        let account = Email.key(of: typed)
        try await throttle.attempt(on: account)
        let grant = try await passwords.logIn(email: Email(typed), password: password, origin: origin, cookie: cookie)
        try await throttle.succeeded(on: account)
        return answer(grant, cookie, status: .ok)
    }

    @Sendable private func change(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let current = body.requiredString("current_password", max: bodyLimit)
        let new = body.requiredString("password", max: bodyLimit)
        try body.finish()
        guard let user = try await users.find(id: caller.userID) else { throw APIError(.tokenInvalid) }
        // A stolen access token must not be a way to guess the password without limit.
        let account = user.email.map(Email.key(of:)) ?? user.id
        try await throttle.attempt(on: account)
        try await passwords.change(
            user: user,
            session: caller.sessionID,
            current: current,
            new: new,
            origin: context.origin(of: request)
        )
        try await throttle.succeeded(on: account)
        return .noContent()
    }

    @Sendable private func create(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let role = body.choice("role", of: Role.self) ?? .user
        let signup = Signup(reading: &body)
        try body.finish()
        guard let signup else { throw APIError(.validationFailed) }
        let origin = context.origin(of: request)
        return .user(
            try await passwords.create(signup, role: role, actor: caller.userID, origin: origin),
            created: true
        )
    }

    private func wantedCookie(_ request: Request) throws -> SessionCookie? {
        try QueryParameters(request).boolean("cookie") == true ? SessionCookie(random: random) : nil
    }

    private func answer(_ grant: Grant, _ cookie: SessionCookie?, status: HTTPResponse.Status) -> Response {
        var headers: HTTPFields = [:]
        if let cookie { headers[.setCookie] = cookies.setting(cookie, maxAge: sessionMaxAge) }
        return .json(grant.json(), status: status, headers: headers)
    }
}

extension RateLimited: DomainError {
    package var answer: any Error {
        var error = APIError.retry(.rateLimited, afterSeconds: seconds)
        error.headers[.rateLimit] = "\"default\";r=0;t=\(seconds)"
        return error
    }
}

extension Signup {
    /// Reads `email`, `password` and `name`; `nil` when the body then holds complaints.
    init?(reading body: inout JSONBody) {
        let typed = body.requiredString("email")
        let password = body.requiredString("password", max: bodyLimit)
        let name = UserProfile.name("name", &body)
        let email = Email(typed)
        if email == nil, !typed.isEmpty || body.errors.isEmpty {
            body.refuse("email", "invalid", "must be an email address")
        }
        guard let email, body.errors.isEmpty else { return nil }
        self.init(email: email, password: password, name: name.value)
    }
}
