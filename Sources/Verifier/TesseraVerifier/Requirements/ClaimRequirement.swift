/// A claim that a route or call requires of a valid token. It is a value, so it can be compared and configured.
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
    /// - Parameter scopes: one entry per scope.
    /// - Returns: the requirement.
    public static func scope(_ scopes: String...) -> Self { Self(kind: .scope(scopes)) }

    /// `role` is one of these.
    ///
    /// - Parameter roles: the allowed roles.
    /// - Returns: the requirement.
    public static func role(_ roles: String...) -> Self { Self(kind: .role(roles)) }

    /// The user signed in (`auth_time`) at most this long ago, in whole seconds. A token without `auth_time` fails.
    ///
    /// - Parameter age: the longest time since sign-in; a negative one counts as zero.
    /// - Returns: the requirement.
    public static func maxAge(_ age: Duration) -> Self { Self(kind: .maxAge(max(0, age.components.seconds))) }

    /// `amr` contains all of these (RFC 8176), for example `otp`.
    ///
    /// - Parameter methods: one entry per method.
    /// - Returns: the requirement.
    public static func authenticationMethods(_ methods: String...) -> Self {
        Self(kind: .authenticationMethods(methods))
    }

    /// The required scopes, if this requires scopes.
    public var scopes: [String]? { if case .scope(let scopes) = kind { scopes } else { nil } }

    /// How many seconds ago a user may have signed in, if this requires that.
    public var maxAgeInSeconds: Int64? { if case .maxAge(let seconds) = kind { seconds } else { nil } }

    /// The claim, and its required value.
    public var description: String {
        switch kind {
        case .audience(let name): "aud \(name)"
        case .scope(let scopes): "scope \(scopes.joined(separator: " "))"
        case .role(let roles): "role \(roles.joined(separator: " or "))"
        case .maxAge(let seconds): "auth_time within \(seconds) s"
        case .authenticationMethods(let methods): "amr \(methods.joined(separator: " "))"
        }
    }

    /// Throws unless the claims meet the requirement.
    ///
    /// - Parameters:
    ///   - claims: of a valid token.
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
            // A difference that overflows 64 bits is of a time that no clock ever showed.
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
