// What a part of a service demands of a token besides that it is good, as values: they can be listed, compared and put
// into a configuration. The verifier's own requirements hold for every token; these for one route, or one call.

/// Something that a good token must say to be enough for what is asked.
public struct ClaimRequirement: Sendable, Hashable, CustomStringConvertible {
    enum Kind: Sendable, Hashable {
        case audience(String)
        case scope([String])
        case role([String])
        case maxAge(Int64)
        case authenticationMethods([String])
    }

    let kind: Kind

    /// `aud` contains this name too.
    ///
    /// - Parameter name: of a service.
    /// - Returns: the requirement.
    public static func audience(_ name: String) -> Self { Self(kind: .audience(name)) }

    /// `scope` contains all of these.
    ///
    /// - Parameter scopes: one entry a scope.
    /// - Returns: the requirement.
    public static func scope(_ scopes: String...) -> Self { Self(kind: .scope(scopes)) }

    /// `role` is one of these.
    ///
    /// - Parameter roles: the roles that will do.
    /// - Returns: the requirement.
    public static func role(_ roles: String...) -> Self { Self(kind: .role(roles)) }

    /// The user signed in, by `auth_time`, no longer ago than this. Whole seconds count. A token without `auth_time` is
    /// not enough.
    ///
    /// - Parameter age: the longest time since then; less than nothing counts as nothing.
    /// - Returns: the requirement.
    public static func maxAge(_ age: Duration) -> Self { Self(kind: .maxAge(max(0, age.components.seconds))) }

    /// `amr` contains all of these (RFC 8176), for example `otp`.
    ///
    /// - Parameter methods: one entry a method.
    /// - Returns: the requirement.
    public static func authenticationMethods(_ methods: String...) -> Self {
        Self(kind: .authenticationMethods(methods))
    }

    /// The scopes that are demanded, where it is scopes.
    public var scopes: [String]? { if case .scope(let scopes) = kind { scopes } else { nil } }

    /// How many seconds ago a user may have signed in, where it is that.
    public var maxAgeInSeconds: Int64? { if case .maxAge(let seconds) = kind { seconds } else { nil } }

    /// The claim, and what it must hold.
    public var description: String {
        switch kind {
        case .audience(let name): "aud \(name)"
        case .scope(let scopes): "scope \(scopes.joined(separator: " "))"
        case .role(let roles): "role \(roles.joined(separator: " or "))"
        case .maxAge(let seconds): "auth_time within \(seconds) s"
        case .authenticationMethods(let methods): "amr \(methods.joined(separator: " "))"
        }
    }

    /// Passes claims that meet the requirement.
    ///
    /// - Parameters:
    ///   - claims: of a good token.
    ///   - now: the time in seconds since 1970.
    /// - Throws: `.wrongAudience`, `.insufficientScope`, `.insufficientRole` or `.insufficientAuthentication`.
    public func check(_ claims: AccessTokenClaims, now: Int64) throws(VerificationError) {
        switch kind {
        case .audience(let name):
            guard claims.audience.contains(name) else { throw VerificationError(.wrongAudience, claim: "aud") }
        case .scope(let scopes):
            guard scopes.allSatisfy(claims.scope.contains) else {
                throw VerificationError(.insufficientScope, claim: "scope", requirement: self)
            }
        case .role(let roles):
            guard let role = claims.role, roles.contains(role) else {
                throw VerificationError(.insufficientRole, claim: "role", requirement: self)
            }
        case .maxAge(let seconds):
            // A difference that does not fit into 64 bits is of a time that no clock ever showed.
            guard let signedIn = claims.authenticatedAt,
                case let (age, overflow) = now.subtractingReportingOverflow(signedIn), !overflow, age <= seconds
            else { throw VerificationError(.insufficientAuthentication, claim: "auth_time", requirement: self) }
        case .authenticationMethods(let methods):
            guard methods.allSatisfy(claims.authenticationMethods.contains) else {
                throw VerificationError(.insufficientAuthentication, claim: "amr", requirement: self)
            }
        }
    }
}

extension Sequence where Element == ClaimRequirement {
    func check(_ claims: AccessTokenClaims, now: @autoclosure () -> Int64) throws(VerificationError) {
        for requirement in self { try requirement.check(claims, now: now()) }
    }
}
