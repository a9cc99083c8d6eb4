import Hummingbird
import ServiceKit

struct PasswordRoutes: Sendable {
    let passwords: Passwords
    let signIn: SignIn

    private var audiences: TokenAudiences { signIn.tokens.accessTokens.audiences }

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
            let audience = audiences.read(from: &body)
            let signup = Signup(reading: &body, policy: passwords.policy)
            try body.finish()
            guard var signup else { throw APIError(.validationFailed) }
            signup.audience = audience
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
            let audience = audiences.read(from: &body)
            try body.finish()
            return SignInRequest(
                input: PasswordInput(email: email, password: password, audience: audience),
                device: device
            )
        }
        return .signedIn(signedIn, status: .ok)
    }

    @Sendable private func change(_ request: Request, context: AuthRequestContext) async throws -> Response {
        let caller = try context.requireCaller()
        var body = try await request.jsonBody(limit: bodyLimit)
        let current = body.requiredText("current_password", max: bodyLimit)
        let new = body.requiredText("password", max: bodyLimit)
        body.addRemaining(passwords.policy.violation(new, own: []).map { [$0] } ?? [])
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
        let signup = Signup(reading: &body, policy: passwords.policy)
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
    /// Reads `email`, `password` and `name`; `nil` if the body then has errors. Each field has at most one.
    init?(reading body: inout JSONBody, policy: PasswordPolicy) {
        let email = Email(body.requiredText("email")).flatMap { $0.isPossible ? $0 : nil }
        let password = body.requiredText("password", max: bodyLimit)
        let name = UserProfile.name("name", &body)
        let own = [email.map { RequestText($0.address) }, name.value]
        let violations = [
            email == nil ? FieldError("email", "invalid", "must be an email address") : nil,
            policy.violation(password, own: own),
        ]
        body.addRemaining(violations.compactMap(\.self))
        guard let email, body.errors.isEmpty else { return nil }
        self.init(email: email, password: password, name: name.value)
    }
}
