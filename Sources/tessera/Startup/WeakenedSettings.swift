// Settings of auth that are weaker than their defaults, for the audit log.
import AuthService
import PasswordHashing
import ServiceKit

extension Settings {
    /// By the setting's name; the values are no secrets.
    ///
    /// - Parameter configuration: made of these settings.
    /// - Returns: the values of the weaker ones.
    /// - Throws: `ConfigurationError`.
    func weakened(_ configuration: AuthConfiguration) throws -> [String: String] {
        let usual = AuthConfiguration(publicURL: publicURL, masterKeys: configuration.masterKeys)
        let usualLimits = RequestLimits()
        let weaker: [(ConfigurationKey, Bool)] = [
            (.rateLimits, !configuration.rateLimits),
            (.accessTokenTTL, configuration.accessTokenLifetime > usual.accessTokenLifetime),
            (.refreshGrace, configuration.refreshGrace > usual.refreshGrace),
            (.sessionIdle, configuration.sessionIdle > usual.sessionIdle),
            (.sessionAbsolute, configuration.sessionAbsolute > usual.sessionAbsolute),
            (.keyRotation, configuration.keyRotation > usual.keyRotation),
            (.auditRetention, configuration.auditRetention < usual.auditRetention),
            (.passwordMinimum, configuration.passwordMinimum < usual.passwordMinimum),
            (.argon2Memory, configuration.argon2.memoryKiB < usual.argon2.memoryKiB),
            (.argon2Iterations, configuration.argon2.iterations < usual.argon2.iterations),
            (.personRate, requests.person.perSecond > usualLimits.person.perSecond),
            (.personBurst, requests.person.burst > usualLimits.person.burst),
            (.addressRate, requests.address.perSecond > usualLimits.address.perSecond),
            (.addressBurst, requests.address.burst > usualLimits.address.burst),
            (.trustedProxies, try reader.list(.trustedProxies).contains { $0.hasSuffix("/0") }),
        ]
        var values: [String: String] = [:]
        for (key, isWeaker) in weaker where isWeaker { values[key.name] = try reader.text(key) ?? "" }
        // Every process of the same user can read the environment.
        if reader.isInEnvironment(.masterKey) { values[ConfigurationKey.masterKey.name] = "in the environment" }
        return values
    }
}
