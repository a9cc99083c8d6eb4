"""Verifies an access token with joserfc, from the live JWKS.

    verify_joserfc.py JWKS_URL ALGORITHM ISSUER AUDIENCE  < token

Prints header and claims as JSON and exits 0. A token that joserfc refuses exits 3, with the reason; anything else
that goes wrong (no JWKS, no joserfc) is a traceback and exits 1, so that a broken set-up never looks like a refusal.
"""

import json
import sys
import urllib.request

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

jwks_url, algorithm, issuer, audience = sys.argv[1:5]
token = sys.stdin.read().strip()

with urllib.request.urlopen(jwks_url, timeout=10) as answer:
    keys = KeySet.import_key_set(json.load(answer))
required = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": audience},
    sub={"essential": True},
    exp={"essential": True},
    iat={"essential": True},
    jti={"essential": True},
)
try:
    verified = jwt.decode(token, keys, algorithms=[algorithm])
    required.validate(verified.claims)
except JoseError as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(3)
print(json.dumps({"header": verified.header, "claims": verified.claims}))
