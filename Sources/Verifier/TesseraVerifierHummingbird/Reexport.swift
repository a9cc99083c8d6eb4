// One import for a service: the middleware takes a `TokenVerifier`, and the context that it fills holds
// `AccessTokenClaims`, so nobody can use this module without the other. Routes that only read claims still build when
// they name `TesseraVerifier` alone.
@_exported public import TesseraVerifier
