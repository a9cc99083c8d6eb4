// Who uses the middleware needs the verifier's types in the same breath: its initialiser takes a `TokenVerifier`, and
// the context it fills holds `AccessTokenClaims`.
@_exported public import TesseraVerifier
