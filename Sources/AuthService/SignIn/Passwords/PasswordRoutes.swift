import Hummingbird
import ServiceKit

struct PasswordRoutes: Sendable {
    let passwords: Passwords
    let signIn: SignIn

    func mount(on router: RouteGroup<AuthRequestContext>) {
        router.post("signup", query: SignInContext.query, use: signUp)
        router.post("login", query: SignInContext.query, use: logIn)
    }

    func mountAuthenticated(on router: RouteGroup<AuthRequestContext>) {
        router.post("password/change", use: change)
    }

    /// Behind `RoleMiddleware`.
    func mountAdmin(on router: RouteGroup<AuthRequestContext>) {
        router.post("users", use: create)
    }

    @Sendable private func signUp(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let signedIn = try await passwords.signUp(try SignInContext(request, context, signIn.deviceCookies)) {
            var body = try await request.jsonBody(limit: bodyLimit)
            let signup = Signup(reading: &body)
            try body.finish()
            guard let signup else { throw APIError(.validationFailed) }
            return signup
        }
        return .signedIn(signedIn, status: .created)
    }

    @Sendable private func logIn(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let signedIn = try await signIn(by: passwords, try SignInContext(request, context, signIn.deviceCookies)) {
            var body = try await request.jsonBody(limit: bodyLimit)
            let email = body.requiredText("email")
            let password = body.requiredText("password", max: bodyLimit)
            let device = body.text("device_token", max: DeviceMarkerCodec.maxLength)
            try body.finish()
            return SignInRequest(input: PasswordInput(email: email, password: password), device: device)
        }
        return .signedIn(signedIn, status: .ok)
    }

    @Sendable private func change(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let current = body.requiredText("current_password", max: bodyLimit)
        let new = body.requiredText("password", max: bodyLimit)
        try body.finish()
        try await passwords.change(
            user: caller.userID,
            session: caller.sessionID,
            current: current,
            new: new,
            from: context.clientInfo(of: request)
        )
        return .noContent()
    }

    @Sendable private func create(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let role = body.choice("role", of: Role.self) ?? .user
        let signup = Signup(reading: &body)
        try body.finish()
        guard let signup else { throw APIError(.validationFailed) }
        let clientInfo = context.clientInfo(of: request)
        let user = try await passwords.create(
            signup,
            role: role,
            actor: caller.userID,
            from: clientInfo,
            once: context.attempt
        )
        return .user(user, created: true)
    }
}

extension PasswordError: ClosedError {
    package var answer: any Error {
        switch self {
        case .emailTaken: APIError(.emailTaken)
        case .unacceptable(let field): APIError(.validationFailed, fields: [field])
        case .noSuchUser: APIError(.tokenInvalid)
        // Not 401: the caller is signed in, and interceptors would sign them out.
        case .wrongCurrentPassword:
            APIError.field("current_password", "incorrect", "is not the current password")
        case .refused(let error): error
        case .fault(let error): error
        }
    }
}

extension Signup {
    /// Reads `email`, `password` and `name`; `nil` if the body then has errors.
    init?(reading body: inout JSONBody) {
        let typed = body.requiredText("email")
        let password = body.requiredText("password", max: bodyLimit)
        let name = UserProfile.name("name", &body)
        let email = Email(typed).flatMap { $0.isPossible ? $0 : nil }
        if email == nil, !typed.isEmpty || body.errors.isEmpty {
            body.addError("email", "invalid", "must be an email address")
        }
        guard let email, body.errors.isEmpty else { return nil }
        self.init(email: email, password: password, name: name.value)
    }
}
