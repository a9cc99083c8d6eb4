// One import for a service: the middleware takes a `TokenVerifier`, and the context holds `AccessTokenClaims`. Routes
// that only read claims may import `TesseraVerifier` alone.
@_exported public import TesseraVerifier
