"""Verifies an access token with PyJWT, from the live JWKS.

    verify_pyjwt.py JWKS_URL ALGORITHM ISSUER AUDIENCE  < token

Prints the claims as JSON and exits 0. A token that PyJWT refuses exits 3, with the reason; anything else that goes
wrong (no JWKS, no PyJWT) is a traceback and exits 1, so that a broken set-up never looks like a refusal.
"""

import json
import sys

import jwt

jwks_url, algorithm, issuer, audience = sys.argv[1:5]
token = sys.stdin.read().strip()

header = jwt.get_unverified_header(token)
key = jwt.PyJWKClient(jwks_url).get_signing_key(header["kid"])
try:
    claims = jwt.decode(
        token,
        key.key,
        algorithms=[algorithm],
        issuer=issuer,
        audience=audience,
        options={"require": ["iss", "sub", "aud", "exp", "iat", "jti"]},
    )
except jwt.InvalidTokenError as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(3)
print(json.dumps({"header": header, "claims": claims}))
