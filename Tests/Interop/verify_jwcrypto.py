"""Verifies an access token with jwcrypto, from the live JWKS.

    verify_jwcrypto.py JWKS_URL ALGORITHM ISSUER AUDIENCE  < token

Prints header and claims as JSON and exits 0. A token that jwcrypto refuses exits 3, with the reason; anything else that
goes wrong (no JWKS, no jwcrypto) is a traceback and exits 1, so that a broken set-up never looks like a refusal.
"""

import json
import sys
import urllib.request

from jwcrypto import jwk, jwt
from jwcrypto.common import JWException

jwks_url, algorithm, issuer, audience = sys.argv[1:5]
token = sys.stdin.read().strip()

with urllib.request.urlopen(jwks_url, timeout=10) as answer:
    keys = jwk.JWKSet.from_json(answer.read().decode())
# None: the claim must be there; exp and nbf are looked at in any case.
required = {"iss": issuer, "aud": audience, "sub": None, "exp": None, "iat": None, "jti": None}
try:
    verified = jwt.JWT(jwt=token, key=keys, algs=[algorithm], check_claims=required, expected_type="JWS")
except JWException as error:
    print(f"refused: {type(error).__name__}: {error}")
    sys.exit(3)
print(json.dumps({"header": json.loads(verified.header), "claims": json.loads(verified.claims)}))
